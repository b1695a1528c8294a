package main

func business() board {
	return board{
		uid: "catalog-business", title: "Catalog: business",
		about: "Products, changes, prices, imports and what customers search for.",
		rows: []row{
			{title: "Today", height: 5, panels: []panel{
				{kind: number, title: "Products", unit: "short", width: 6,
					normal: "the size of your catalogue (an estimate of the store, refreshed every 30 s).", act: "a sudden fall is a feed that deletes: see changes by outcome.",
					queries: []query{{expr: `max(catalog_products{` + selector + `})`}}},
				{kind: number, title: "Changes (24 h)", unit: "short", width: 6,
					normal: "as many as your feeds send on a working day.", act: "none: ask whether the feeds run.",
					queries: []query{{expr: `sum(increase(catalog_writer_commands_total{` + selector + `, outcome=~"created|changed|deleted"}[24h]))`}}},
				{kind: number, title: "Price changes (24 h)", unit: "short", width: 6,
					normal: "as many as your price feed sends.", act: "very many at once: check the feed before customers see wrong prices.",
					queries: []query{{expr: `sum(increase(catalog_writer_price_changes_total{` + selector + `}[24h]))`}}},
				{kind: number, title: "Imported rows (24 h)", unit: "short", width: 6,
					normal: "as many as your import files have.", act: "none: ask whether the import ran.",
					queries: []query{{expr: `sum(increase(catalog_import_rows_total{` + selector + `}[24h]))`}}},
			}},
			{title: "Changes", panels: []panel{
				{kind: graph, title: "Products", unit: "short", width: 8,
					normal: "grows slowly.", act: "steps are imports or deletions.",
					queries: []query{{expr: `max(catalog_products{` + selector + `})`, legend: "products"}}},
				{kind: graph, title: "Changes by outcome", unit: "cpm", width: 8, min: ptr(0.0), stacked: true,
					normal: "created, changed and deleted; unchanged are repeated rows of feeds.", act: "many deleted: check the feed.",
					queries: []query{{expr: `60 * sum by (outcome) (rate(catalog_writer_commands_total{` + selector + `}[$__rate_interval]))`, legend: "{{outcome}}"}}},
				{kind: graph, title: "Price changes", unit: "cpm", width: 8, min: ptr(0.0), stacked: true,
					normal: "up and down.", act: "one direction only, for all products: check the feed.",
					queries: []query{{expr: `60 * sum by (direction) (rate(catalog_writer_price_changes_total{` + selector + `}[$__rate_interval]))`, legend: "{{direction}}"}}},
			}},
			{title: "Imports and refusals", panels: []panel{
				{kind: graph, title: "Imported rows by result", unit: "cpm", width: 12, min: ptr(0.0), stacked: true,
					normal: "created, changed and unchanged.", act: "refused rows: the response of the import names each row and its reason.",
					queries: []query{{expr: `60 * sum by (result) (rate(catalog_import_rows_total{` + selector + `}[$__rate_interval]))`, legend: "{{result}}"}}},
				{kind: graph, title: "Refused changes by reason", unit: "cpm", width: 12, min: ptr(0.0),
					normal: "few.", act: "sku_taken: two products claim one SKU; version_mismatch: two editors at once.",
					queries: []query{{expr: `60 * sum by (reason) (rate(catalog_writer_refusals_total{` + selector + `}[$__rate_interval]))`, legend: "{{reason}}"}}},
			}},
			{title: "Customers", panels: []panel{
				{kind: graph, title: "Searches by kind", unit: "cpm", width: 8, min: ptr(0.0), stacked: true,
					normal: "follows the visitors of the shop.", act: "a fall to 0 is a broken shop page.",
					queries: []query{{expr: `60 * sum by (kind) (rate(catalog_search_duration_seconds_count{` + selector + `}[$__rate_interval]))`, legend: "{{kind}}"}}},
				{kind: graph, title: "Product pages read", unit: "cpm", width: 8, min: ptr(0.0),
					normal: "follows the visitors of the shop.", act: "404 that grow: the shop links to deleted products.",
					queries: []query{{expr: `60 * sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{` + selector + `, http_request_method="GET", http_route="/api/v1/products/:id"}[$__rate_interval]))`, legend: "{{http_response_status_code}}"}}},
				{kind: graph, title: "Subscribers of changes", unit: "none", width: 8, min: ptr(0.0),
					normal: "one per system that follows the catalogue.", act: "one less: that system does not see changes; it continues where it stopped when it is back.",
					queries: []query{{expr: `sum by (service) (catalog_changefeed_subscribers{` + selector + `})`, legend: "{{service}}"}}},
			}},
		},
	}
}
