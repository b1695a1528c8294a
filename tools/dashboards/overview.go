package main

func overview() board {
	const (
		writes   = `slo="writes-readable"`
		requests = `slo="requests-succeed"`
		// The change stream and imports last as long as their clients want.
		timed = selector + `, http_route!~".*/(changes|import)"`
	)
	share := []step{{0.99, warn}, {0.999, good}}
	budget := []step{{0, warn}, {0.25, good}}
	return board{
		uid: "catalog-overview", title: "Catalog: overview",
		about: "Start here. First row: are users affected? Second: since when, and how much? Last: which part is the cause?",
		rows: []row{
			{title: "Are users affected?", height: 5, panels: []panel{
				{kind: number, title: "Requests OK (1 h)", unit: "percentunit", width: 4, runbook: "catalogrequestsburnfast",
					normal: "99.9 % or more.", act: "see which route and status below; 503 is overload or a missing engine, 504 a write that was not settled in time.",
					queries: []query{{expr: `1 - slo:catalog_errors:ratio_rate1h{` + requests + `}`}}, steps: share, max: ptr(1.0)},
				{kind: number, title: "Writes within 1 s (1 h)", unit: "percentunit", width: 4, runbook: "catalogwritesburnfast", empty: "none readable",
					normal: "99.9 % or more, measured from acceptance to readable.", act: "the write path dashboard shows the step that takes the time.",
					queries: []query{{expr: `1 - slo:catalog_errors:ratio_rate1h{` + writes + `}`}}, steps: share, max: ptr(1.0)},
				{kind: number, title: "Requests: budget left", unit: "percentunit", width: 4, runbook: "catalogrequestsburnslow",
					normal: "above 25 % of the error budget of 30 days.", act: "below 0 the objective is missed: stop risky changes until it recovers.",
					queries: []query{{expr: `clamp_min(1 - slo:catalog_errors:ratio_rate30d{` + requests + `} / 0.001, -1)`}}, steps: budget, max: ptr(1.0)},
				{kind: number, title: "Writes: budget left", unit: "percentunit", width: 4, runbook: "catalogwritesburnslow",
					normal: "above 25 % of the error budget of 30 days.", act: "below 0 the objective is missed: stop risky changes until it recovers.",
					queries: []query{{expr: `clamp_min(1 - slo:catalog_errors:ratio_rate30d{` + writes + `} / 0.001, -1)`}}, steps: budget, max: ptr(1.0)},
				{kind: number, title: "Oldest waiting write", unit: "s", width: 4, runbook: "catalogwritesnotsettled",
					normal: "below 0.1 s.", act: "from 30 s on writes are refused: look at writer and PostgreSQL.",
					queries: []query{{expr: `max(catalog_backlog_age_seconds{` + selector + `})`}}, steps: []step{{1, warn}, {5, bad}}},
				{kind: number, title: "Shards stopped", unit: "none", width: 4, runbook: "catalogshardstopped",
					normal: "0.", act: "the log of the service says which command repairs the shard.",
					queries: []query{{expr: `sum(max by (service, consumer) (catalog_shards_stopped{` + selector + `}))`}}, steps: []step{{1, bad}}},
			}},
			{title: "Since when, and how much?", panels: []panel{
				{kind: graph, title: "Requests by status", unit: "reqps", width: 8, stacked: true, min: ptr(0.0),
					normal: "2xx, with some 4xx from clients' mistakes.", act: "5xx count against the objective; 429 and 503 mean overload.",
					queries: []query{rate("http_server_request_duration_seconds_count", selector, "{{http_response_status_code}}", "http_response_status_code")}},
				{kind: graph, title: "Request duration", unit: "s", width: 8, min: ptr(0.0), steps: []step{{1, bad}},
					normal: "p50 of some milliseconds, p99 below 0.25 s. A dot is a request: click it to open its trace.", act: "open the trace of a slow request; docs/operations/slow-write.md shows how to read it.",
					queries: quantiles("http_server_request_duration_seconds", timed)},
				{kind: graph, title: "Write to readable", unit: "s", width: 8, min: ptr(0.0), steps: []step{{1, bad}}, runbook: "catalogwritesburnfast",
					normal: "p50 around 10 ms, p99 below 0.25 s, from acceptance to readable.", act: "compare the steps on the write path dashboard.",
					queries: quantiles("catalog_write_readable_seconds", selector)},
			}},
			{panels: []panel{
				{kind: graph, title: "Share of failed requests and slow writes (5 min)", unit: "percentunit", width: 8, min: ptr(0.0), steps: []step{{0.001, warn}, {0.0144, bad}}, runbook: "catalogrequestsburnfast",
					normal: "below the dashed line at 0.1 %.", act: "above 1.44 % the budget of 30 days is used up within 2 days, and an alert pages.",
					queries: []query{{expr: `slo:catalog_errors:ratio_rate5m{slo=~".+"}`, legend: "{{slo}}"}}},
				{kind: graph, title: "Lag by consumer", unit: "s", width: 8, min: ptr(0.0), steps: []step{{10, bad}}, runbook: "cataloglag",
					normal: "below 0.1 s: the age of the oldest record that is not handled, in the slowest partition.", act: "writer lag delays writes, view lag delays reads, index lag delays searches.",
					queries: []query{{expr: `max by (consumer) (catalog_kafka_lag_seconds{` + selector + `})`, legend: "{{consumer}}"}}},
				{kind: graph, title: "Requests by route", unit: "reqps", width: 8, min: ptr(0.0),
					normal: "the mix of your clients.", act: "a route that grows suddenly is a client that retries or a crawler.",
					queries: []query{{expr: `topk(8, sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{` + selector + `}[$__rate_interval])))`, legend: "{{http_request_method}} {{http_route}}"}}},
			}},
			{title: "Which part is the cause?", panels: []panel{
				{kind: listing, title: "Alerts that fire", unit: "none", width: 8, columns: []string{"alertname", "severity", "service"}, value: "times",
					normal: "Watchdog alone, which always fires.", act: "docs/operations/alerts.md has a section for each alert.",
					queries: []query{{expr: `sum by (alertname, severity, service) (ALERTS{alertstate="firing"})`}}},
				{kind: listing, title: "Instances up", unit: "none", width: 8, columns: []string{"service", "instance"}, value: "up", steps: []step{{1, good}}, runbook: "catalogtargetdown",
					normal: "1 for each instance.", act: "0 means that Prometheus cannot scrape the instance: look at the process and its log.",
					queries: []query{{expr: `min by (service, instance) (up{job="catalog"})`}}},
				{kind: listing, title: "Readiness checks", unit: "none", width: 8, columns: []string{"service", "instance", "check"}, value: "ready", steps: []step{{1, good}}, runbook: "catalognotready",
					normal: "1 for each check.", act: "0 names the engine that does not respond.",
					queries: []query{{expr: `sort(min by (service, instance, check) (catalog_ready{` + selector + `}))`}}},
			}},
		},
	}
}
