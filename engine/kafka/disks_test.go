package kafka

import "testing"

func TestDisks(t *testing.T) {
	l := openLog(t, testConfig(t, fakeBroker(t)))
	disks, err := l.Disks(t.Context())
	if err != nil || len(disks) != 1 || disks[0].Free <= 0 {
		t.Errorf("Disks = %+v, %v; want that of the broker, with free space", disks, err)
	}
	if n := l.SpareReplicas(); n != 0 {
		t.Errorf("SpareReplicas of topics with one replica = %d; want 0", n)
	}
	l.replicas, l.minInSync = 3, 2
	if n := l.SpareReplicas(); n != 1 {
		t.Errorf("SpareReplicas of 3 replicas, of which 2 must be in sync = %d; want 1", n)
	}
}
