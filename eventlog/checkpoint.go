package eventlog

import "catalog"

// Checkpoint is the progress of a view in one shard of the events topic.
type Checkpoint struct {
	catalog.Position       // of the last event applied
	Offset           int64 // of the next record of the partition
}

// ViewGenerations states which generations of a view exist. A rebuild creates the
// next generation beside the live one, fills it from PostgreSQL and switches to it.
type ViewGenerations struct {
	Live            int64 // generation that is read and written
	Standby         int64 // generation that is also written; equal to Live if there is none
	StandbyComplete bool  // Standby has all products of Live
	ReadBoth        bool  // reads use both generations and return the newer version
}
