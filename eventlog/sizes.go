package eventlog

// Sizes are estimates of what a store holds.
type Sizes struct {
	Products, JournalEvents     int64
	ProductsBytes, JournalBytes int64 // bytes on disk, with indexes; 0 when the store does not know them
}
