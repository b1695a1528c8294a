package main

// measuredFigures are what the model is computed from: processor time in seconds, sizes
// in bytes. docs/scale.md says how each was measured.
type measuredFigures struct {
	writerCommand, postgresCommand, kafkaCommand float64 // processor time of a command in large batches
	gatewayRow                                   float64 // of a row of an import
	viewEvent, indexEvent                        float64 // of an event, in the reader
	gatewayRead, readerRead                      float64 // of a GET that the near cache and the cache do not hold
	gatewaySearch, readerSearch                  float64 // of a search
	shardRate                                    float64 // commands a second of one shard alone

	productRow, journalRow     float64 // in PostgreSQL with indexes
	commandRecord, eventRecord float64 // in Kafka, compressed
	viewDocument               float64 // in MongoDB, uncompressed
	cacheEntry                 float64 // in Redis
	indexProduct               float64 // in the index on disk
}

var measured = measuredFigures{
	writerCommand: 193e-6, postgresCommand: 400e-6, kafkaCommand: 547e-6, gatewayRow: 150e-6, viewEvent: 300e-6, indexEvent: 640e-6,
	gatewayRead: 165e-6, readerRead: 200e-6, gatewaySearch: 875e-6, readerSearch: 1485e-6, shardRate: 3400,
	productRow: 744, journalRow: 865, commandRecord: 185, eventRecord: 226, viewDocument: 615, cacheEntry: 900, indexProduct: 870,
}
