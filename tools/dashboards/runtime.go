package main

func goRuntime() board {
	return board{
		uid: "catalog-runtime", title: "Catalog: Go runtime",
		about: "CPU, memory, garbage collection and goroutines of each instance, and what runs where.",
		rows: []row{
			{title: "What runs", height: 6, panels: []panel{
				{kind: listing, title: "Versions", unit: "none", width: 12, columns: []string{"service", "instance", "version", "commit", "go_version"}, value: "instances", runbook: "catalogversionsdiffer",
					normal: "one version per service.", act: "two versions for long: an upgrade stopped half-way.",
					queries: []query{{expr: `sum by (service, instance, version, commit, go_version) (catalog_build_info{` + selector + `})`}}},
				{kind: listing, title: "Running since", unit: "dateTimeFromNow", width: 12, columns: []string{"service", "instance"}, value: "started", runbook: "catalogrestarting",
					normal: "since the last deployment.", act: "a recent start that you did not cause: look at the end of the log, and for out of memory.",
					queries: []query{{expr: `max by (service, instance) (process_start_time_seconds{` + selector + `}) * 1000`}}},
			}},
			{title: "CPU and memory", panels: []panel{
				{kind: graph, title: "CPU", unit: "none", width: 8, min: ptr(0.0),
					normal: "cores in use, below the limit of the container.", act: "take a profile: make pprof_ targets, or /debug/pprof/profile on the admin port.",
					queries: []query{rate("process_cpu_seconds_total", selector, "{{service}} {{instance}}", "service", "instance")}},
				{kind: graph, title: "Memory of the process", unit: "bytes", width: 8, min: ptr(0.0),
					normal: "flat after warm-up; the reader grows with the index.", act: "a line that only rises is a leak: take a heap profile.",
					queries: []query{{expr: `max by (service, instance) (process_resident_memory_bytes{` + selector + `})`, legend: "{{service}} {{instance}}"}}},
				{kind: graph, title: "Heap in use", unit: "bytes", width: 8, min: ptr(0.0),
					normal: "a saw-tooth: it falls with each collection.", act: "set GOMEMLIMIT below the memory limit of the container.",
					queries: []query{{expr: `max by (service, instance) (go_memstats_heap_inuse_bytes{` + selector + `})`, legend: "{{service}} {{instance}}"}}},
			}},
			{title: "Scheduling and collection", panels: []panel{
				{kind: graph, title: "Goroutines", unit: "none", width: 8, min: ptr(0.0),
					normal: "some hundred; more with connected subscribers.", act: "a line that only rises: calls that wait for an engine. See /debug/pprof/goroutine.",
					queries: []query{{expr: `max by (service, instance) (go_goroutines{` + selector + `})`, legend: "{{service}} {{instance}}"}}},
				{kind: graph, title: "Longest pause of the collector", unit: "s", width: 8, min: ptr(0.0),
					normal: "below 1 ms.", act: "long pauses mean too little CPU: raise the limit.",
					queries: []query{{expr: `max by (service, instance) (go_gc_duration_seconds{` + selector + `, quantile="1"})`, legend: "{{service}} {{instance}}"}}},
				{kind: graph, title: "Wait for a processor (p99)", unit: "s", width: 8, min: ptr(0.0),
					normal: "below 1 ms.", act: "goroutines wait for CPU: raise the limit, or add instances.",
					queries: []query{quantile("0.99", "go_sched_latencies_seconds", selector, "{{service}} {{instance}}", "service", "instance")}},
			}},
			{panels: []panel{
				{kind: graph, title: "Allocations", unit: "Bps", width: 8, min: ptr(0.0),
					normal: "proportional to the load.", act: "more allocations per request than before: compare profiles of the two versions.",
					queries: []query{rate("go_memstats_alloc_bytes_total", selector, "{{service}} {{instance}}", "service", "instance")}},
				{kind: graph, title: "Open files", unit: "percentunit", width: 8, min: ptr(0.0), max: ptr(1.0), steps: []step{{0.8, bad}},
					normal: "below 50 % of the limit.", act: "raise the limit of open files, or find the connections that stay open.",
					queries: []query{{expr: `max by (service, instance) (process_open_fds{` + selector + `} / process_max_fds{` + selector + `})`, legend: "{{service}} {{instance}}"}}},
				{kind: graph, title: "Log lines", unit: "cps", width: 8, min: ptr(0.0), runbook: "cataloglogerrors",
					normal: "few at info, none at error.", act: "each line of level ERROR needs an operator: read it.",
					queries: []query{rate("catalog_log_lines_total", selector, "{{service}} {{level}}", "service", "level")}},
			}},
		},
	}
}
