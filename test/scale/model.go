package main

import (
	"fmt"
	"io"
	"math"
)

// workload is a size of catalogue with its traffic.
type workload struct {
	products float64
	commands float64 // commands a second, sustained
	reads    float64 // GETs a second of a product that the near cache does not hold
	searches float64 // searches a second
}

// Assumptions about one machine of each kind, and about the operation.
const (
	cores         = 16   // cores of a machine
	memory        = 64e9 // bytes of memory of a machine
	disk          = 2e12 // bytes of disk of a machine
	utilisation   = 0.6  // share of the processors that is planned for
	cachedShare   = 0.1  // share of the products that Redis should hold
	indexShare    = 0.5  // share of memory for the index of a reader; the rest is left for the page cache
	retentionDays = 30.0 // retention of the journal in PostgreSQL; older rows are in the archive
	topicDays     = 7.0  // retention of the topics
	replicas      = 3.0  // replicas of Kafka and MongoDB
	shardShare    = 0.5  // planned share of the rate of one shard
	secondsADay   = 86400
)

// demand is what a workload needs of one part of the system, in machines.
type demand struct {
	part     string
	machines float64 // load in machines: 1 fills one machine
	why      string  // the resource that is used up first
}

// demands returns what the workload needs of each engine. The services are not
// limits: several of each share the shards.
func (m measuredFigures) demands(w workload) []demand {
	cpu := func(seconds float64) float64 { return seconds / (cores * utilisation) }
	most := func(part string, needs ...need) demand {
		d := demand{part: part}
		for _, n := range needs {
			if n.machines > d.machines {
				d.machines, d.why = n.machines, n.of
			}
		}
		return d
	}
	journal := w.commands * secondsADay * retentionDays * m.journalRow
	topics := w.commands * secondsADay * topicDays * (m.commandRecord + m.eventRecord)
	return []demand{
		most("PostgreSQL",
			need{"processors", cpu(w.commands * m.postgresCommand)}, need{"disk", (w.products*m.productRow + journal) / disk}),
		most("Kafka",
			need{"processors", cpu(w.commands * m.kafkaCommand)}, need{"disk", topics / disk}),
		most("MongoDB", need{"disk", w.products * m.viewDocument / disk}),
		most("Redis", need{"memory", w.products * cachedShare * m.cacheEntry / memory}),
		most("index of a reader",
			need{"memory", w.products * m.indexProduct / (memory * indexShare)}, need{"processors", cpu(w.commands * m.readerEvent)}),
	}
}

type need struct {
	of       string
	machines float64
}

// services returns the machines of gateway, writer and reader (without the index),
// and the partitions.
func (m measuredFigures) services(w workload) (gateway, writer, reader, partitions float64) {
	per := cores * utilisation
	gateway = (w.commands*m.gatewayRow + w.reads*m.gatewayRead + w.searches*m.gatewaySearch) / per
	writer = w.commands * m.writerCommand / per
	reader = (w.commands*m.readerEvent + w.reads*m.readerRead + w.searches*m.readerSearch) / per
	return gateway, writer, reader, w.commands / (m.shardRate * shardShare)
}

// workloads are those that docs/scale.md works out.
func workloads() (all []workload) {
	for _, products := range []float64{1e6, 1e8, 1e10} {
		for _, commands := range []float64{1e3, 1e5, 1e6} {
			all = append(all, workload{products: products, commands: commands, reads: 10 * commands, searches: commands})
		}
	}
	return all
}

// firstLimit returns the part that needs most machines.
func firstLimit(all []demand) (first demand) {
	for _, d := range all {
		if d.machines > first.machines {
			first = d
		}
	}
	return first
}

// printModel writes the table of docs/scale.md.
func printModel(w io.Writer, m measuredFigures) {
	fmt.Fprintln(w, "| products | commands/s | PostgreSQL | Kafka | MongoDB | Redis | index | gateways | writers | readers | partitions | first limit |\n|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, l := range workloads() {
		fmt.Fprintf(w, "| %s | %s |", amount(l.products), amount(l.commands))
		all := m.demands(l)
		for _, d := range all {
			fmt.Fprintf(w, " %s |", machines(d.machines))
		}
		gateway, writer, reader, partitions := m.services(l)
		first := firstLimit(all)
		limit := "none: one machine of each is enough"
		if first.machines > 1 {
			limit = first.part + ": " + first.why
		}
		fmt.Fprintf(w, " %s | %s | %s | %s | %s |\n", machines(gateway), machines(writer), machines(reader), amount(math.Max(1, math.Ceil(partitions))), limit)
	}
}

// machines formats a number of machines: a share below 1, whole ones above.
func machines(n float64) string {
	switch {
	case n < 0.01:
		return "< 0.01"
	case n < 1:
		return fmt.Sprintf("%.2f", n)
	}
	return amount(math.Ceil(n))
}

func amount(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.3g%s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f", n)
}
