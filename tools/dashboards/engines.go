package main

func engines() board {
	const disks = `job="node", fstype!~"tmpfs|ramfs|overlay|squashfs"`
	return board{
		uid: "catalog-engines", title: "Catalog: engines",
		about: "Kafka, PostgreSQL, MongoDB, Redis and the index as the services see them; below, what the engines' exporters say.",
		rows: []row{
			{title: "Do the engines respond?", height: 6, panels: []panel{
				{kind: listing, title: "Readiness checks", unit: "none", width: 8, columns: []string{"service", "instance", "check"}, value: "ready", steps: []step{{1, good}}, runbook: "catalognotready",
					normal: "1 for each check.", act: "0 names the engine that does not respond.",
					queries: []query{{expr: `sort(min by (service, instance, check) (catalog_ready{` + selector + `}))`}}},
				{kind: listing, title: "Open breakers", unit: "none", width: 8, columns: []string{"service", "instance", "target"}, value: "open", steps: []step{{1, bad}}, runbook: "catalogbreakeropen",
					normal: "0 for each target.", act: "1: calls to the target fail at once, because it did not respond.",
					queries: []query{{expr: `sort_desc(max by (service, instance, target) (catalog_breaker_open{` + selector + `}))`}}},
				{kind: listing, title: "Free disk of the services", unit: "percentunit", width: 8, columns: []string{"service", "instance", "path"}, value: "free", steps: []step{{0.05, warn}, {0.15, good}}, runbook: "catalogdiskfull",
					normal: "above 15 %.", act: "make space before 5 %: writes stop when the disk is full.",
					queries: []query{{expr: `min by (service, instance, path) (catalog_disk_free_bytes{` + selector + `} / catalog_disk_size_bytes{` + selector + `})`}}},
			}},
			{title: "As the services see them", panels: []panel{
				{kind: graph, title: "Database calls (p95)", unit: "s", width: 8, min: ptr(0.0),
					normal: "Redis below 2 ms, PostgreSQL and MongoDB below 20 ms.", act: "the slow engine is the cause; open the trace of an exemplar to see which operation.",
					queries: []query{quantile("0.95", "db_client_operation_duration_seconds", selector, "{{db_system_name}} {{db_operation_name}}", "db_system_name", "db_operation_name")}},
				{kind: graph, title: "Database calls", unit: "cps", width: 8, min: ptr(0.0),
					normal: "proportional to writes and cache misses.", act: "MongoDB reads that jump: the cache does not hit.",
					queries: []query{rate("db_client_operation_duration_seconds_count", selector, "{{db_system_name}}", "db_system_name")}},
				{kind: graph, title: "Failed database calls", unit: "cps", width: 8, min: ptr(0.0), runbook: "catalogbreakeropen",
					normal: "0.", act: "the type of the error says whether the engine is unreachable or refuses.",
					queries: []query{{expr: `sum by (db_system_name, error_type) (rate(db_client_operation_duration_seconds_count{` + selector + `, error_type!=""}[$__rate_interval])) or label_replace(vector(0), "error_type", "none", "", "")`, legend: "{{db_system_name}} {{error_type}}"}}},
			}},
			{panels: []panel{
				{kind: graph, title: "Kafka calls (p95)", unit: "s", width: 8, min: ptr(0.0),
					normal: "some milliseconds.", act: "slow sends mean slow disks or a lost replica.",
					queries: []query{quantile("0.95", "messaging_client_operation_duration_seconds", selector, "{{messaging_operation_name}} {{messaging_destination_name}}", "messaging_operation_name", "messaging_destination_name")}},
				{kind: graph, title: "Connections in use", unit: "percentunit", width: 8, min: ptr(0.0), max: ptr(1.0), steps: []step{{0.9, bad}}, runbook: "catalogpoolexhausted",
					normal: "below 70 % of the pool.", act: "a full pool: the engine is slow, or the pool is too small for the load.",
					queries: []query{{expr: `sum by (service, db_client_connection_pool_name) (db_client_connection_count{` + selector + `, db_client_connection_state="used", db_client_connection_pool_name!="redis"}) / sum by (service, db_client_connection_pool_name) (db_client_connection_max{` + selector + `})`, legend: "{{service}} {{db_client_connection_pool_name}}"}}},
				{kind: graph, title: "Wait for a connection (average)", unit: "s", width: 8, min: ptr(0.0), runbook: "catalogpoolexhausted",
					normal: "near 0.", act: "waits grow before calls time out: find the slow statements.",
					queries: []query{{expr: `sum by (db_client_connection_pool_name) (rate(db_client_connection_wait_time_seconds_sum{` + selector + `}[$__rate_interval])) / (sum by (db_client_connection_pool_name) (rate(db_client_connection_wait_time_seconds_count{` + selector + `}[$__rate_interval])) > 0)`, legend: "{{db_client_connection_pool_name}}"}}},
			}},
			{title: "What grows", panels: []panel{
				{kind: graph, title: "Store size", unit: "bytes", width: 8, min: ptr(0.0),
					normal: "products grow with the catalogue, the journal with every change.", act: "docs/operations/retention.md says how to trim the journal.",
					queries: []query{
						{expr: `max(catalog_products_bytes{` + selector + `})`, legend: "products"},
						{expr: `max(catalog_journal_bytes{` + selector + `})`, legend: "journal"},
						{expr: `max(catalog_index_bytes{` + selector + `})`, legend: "index of one reader"}}},
				{kind: graph, title: "Free disk of the services", unit: "percentunit", width: 8, min: ptr(0.0), max: ptr(1.0), runbook: "catalogdiskfilling",
					normal: "a flat line.", act: "extend the line: the alert fires a day before the disk is full.",
					queries: []query{{expr: `min by (service, instance, path) (catalog_disk_free_bytes{` + selector + `} / catalog_disk_size_bytes{` + selector + `})`, legend: "{{service}} {{path}}"}}},
				{kind: graph, title: "Free disk of the machines", unit: "percentunit", width: 8, min: ptr(0.0), max: ptr(1.0), runbook: "catalogdiskfilling",
					normal: "a flat line above 15 %.", act: "make space before 5 %.",
					queries: []query{{expr: `min by (instance, mountpoint) (node_filesystem_avail_bytes{` + disks + `} / node_filesystem_size_bytes{` + disks + `})`, legend: "{{instance}} {{mountpoint}}"}}},
			}},
			{title: "As their exporters see them", panels: []panel{
				{kind: graph, title: "PostgreSQL transactions", unit: "cps", width: 6, min: ptr(0.0),
					normal: "commits follow the batches of the writer.", act: "rollbacks that grow: deadlocks or failing statements; see the log of PostgreSQL.",
					queries: []query{
						{expr: `sum(rate(pg_stat_database_xact_commit{job="engines"}[$__rate_interval]))`, legend: "commits"},
						{expr: `sum(rate(pg_stat_database_xact_rollback{job="engines"}[$__rate_interval]))`, legend: "rollbacks"}}},
				{kind: graph, title: "PostgreSQL sessions", unit: "none", width: 6, min: ptr(0.0),
					normal: "well below max_connections.", act: "sessions idle in a transaction hold locks: find them in pg_stat_activity.",
					queries: []query{{expr: `sum by (state) (pg_stat_activity_count{job="engines"})`, legend: "{{state}}"}}},
				{kind: graph, title: "Redis memory", unit: "bytes", width: 6, min: ptr(0.0),
					normal: "below the limit (0 means none).", act: "at the limit Redis evicts: reads go to MongoDB more often.",
					queries: []query{
						{expr: `max by (instance) (redis_memory_used_bytes{job="engines"})`, legend: "used {{instance}}"},
						{expr: `max by (instance) (redis_memory_max_bytes{job="engines"})`, legend: "limit {{instance}}"}}},
				{kind: graph, title: "Redis commands and evictions", unit: "cps", width: 6, min: ptr(0.0),
					normal: "commands follow reads and writes; evictions only at the memory limit.", act: "more evictions than fills: give Redis more memory.",
					queries: []query{
						{expr: `sum(rate(redis_commands_processed_total{job="engines"}[$__rate_interval]))`, legend: "commands"},
						{expr: `sum(rate(redis_evicted_keys_total{job="engines"}[$__rate_interval]))`, legend: "evictions"}}},
			}},
			{panels: []panel{
				{kind: graph, title: "Kafka partitions with too few replicas", unit: "none", width: 6, min: ptr(0.0), steps: []step{{1, bad}}, runbook: "catalogenginedown",
					normal: "0.", act: "a broker is down or behind: the next loss may stop writes.",
					queries: []query{{expr: `sum(kafka_topic_partition_under_replicated_partition{job="engines"})`, legend: "partitions"}}},
				{kind: graph, title: "MongoDB operations", unit: "cps", width: 6, min: ptr(0.0),
					normal: "writes follow the events, queries the cache misses.", act: "queries that jump: the cache does not hit.",
					queries: []query{{expr: `sum by (legacy_op_type) (rate(mongodb_ss_opcounters{job="engines"}[$__rate_interval]))`, legend: "{{legacy_op_type}}"}}},
				{kind: graph, title: "CPU of the machines", unit: "percentunit", width: 6, min: ptr(0.0), max: ptr(1.0),
					normal: "below 70 %.", act: "see which process on the machine uses it.",
					queries: []query{{expr: `1 - avg by (instance) (rate(node_cpu_seconds_total{job="node", mode="idle"}[$__rate_interval]))`, legend: "{{instance}}"}}},
				{kind: graph, title: "Disk busy", unit: "percentunit", width: 6, min: ptr(0.0), max: ptr(1.0),
					normal: "below 50 %.", act: "a busy disk slows Kafka and PostgreSQL, and so each write.",
					queries: []query{{expr: `max by (instance, device) (rate(node_disk_io_time_seconds_total{job="node"}[$__rate_interval]))`, legend: "{{instance}} {{device}}"}}},
			}},
		},
	}
}
