package kafka

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Disk is the space on the disk of a broker.
type Disk struct {
	Broker     int32
	Free, Size int64 // bytes
}

// Disks returns the disk of each broker that holds partitions of the commands and
// the events topic, the fullest first; of several disks of a broker, its fullest one.
// It leaves out brokers that do not report their space: those before Kafka 3.3, and
// those whose ACLs do not let this client describe the cluster.
func (l *Log) Disks(ctx context.Context) ([]Disk, error) {
	topics := make(kadm.TopicsSet)
	for _, name := range []string{"commands", "events"} {
		for shard := range int32(l.shards) {
			topics.Add(l.topic(name), shard)
		}
	}
	all, err := l.admin.DescribeAllLogDirs(ctx, topics)
	if err != nil {
		return nil, err
	}
	var disks []Disk
	for broker, folders := range all {
		var fullest *Disk
		for _, f := range folders {
			if f.Err != nil || f.UsableBytes < 0 || len(f.Topics) == 0 {
				continue
			}
			if fullest == nil || f.UsableBytes < fullest.Free {
				fullest = &Disk{broker, f.UsableBytes, f.TotalBytes}
			}
		}
		if fullest != nil {
			disks = append(disks, *fullest)
		}
	}
	slices.SortFunc(disks, func(a, b Disk) int { return cmp.Compare(a.Free, b.Free) })
	return disks, nil
}

// SpareReplicas returns how many brokers may be lost, or have a full disk, while
// commands can still be stored.
func (l *Log) SpareReplicas() int { return max(l.replicas-l.minInSync, 0) }
