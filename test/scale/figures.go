package main

// measuredFigures are what the model is computed from: processor time in seconds,
// sizes in bytes. docs/scale.md says how each was measured.
type measuredFigures struct {
	gatewayRow, writerCommand, postgresCommand, kafkaCommand float64 // processor time of a row of an import
	readerEvent                                              float64 // processor time of an event, in view and index
	gatewayRead, readerRead                                  float64 // processor time of a GET from Redis
	gatewaySearch, readerSearch                              float64 // processor time of a search
	shardRate                                                float64 // commands a second of one shard alone

	productRow, journalRow     float64 // size in PostgreSQL with indexes
	commandRecord, eventRecord float64 // size in Kafka, compressed in batches
	viewDocument               float64 // size in MongoDB, as BSON
	cacheEntry                 float64 // size in Redis
	indexProduct               float64 // size in the index on disk
}

var measured = measuredFigures{
	gatewayRow: 98e-6, writerCommand: 97e-6, postgresCommand: 93e-6, kafkaCommand: 138e-6, readerEvent: 940e-6,
	gatewayRead: 767e-6, readerRead: 673e-6, gatewaySearch: 770e-6, readerSearch: 1335e-6, shardRate: 3400,
	productRow: 681, journalRow: 854, commandRecord: 185, eventRecord: 226, viewDocument: 615, cacheEntry: 700, indexProduct: 870,
}
