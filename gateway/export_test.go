package gateway

// FillSlots occupies all slots for writes and imports.
func (g *Gateway) FillSlots() {
	for len(g.writeSlots) < cap(g.writeSlots) {
		g.writeSlots <- struct{}{}
	}
	for len(g.importSlots) < cap(g.importSlots) {
		g.importSlots <- struct{}{}
	}
}
