package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// small measures start, import and idle memory of a small catalogue.
func (b *bench) small() error {
	if b.furniture == "" {
		b.furniture = filepath.Join("examples", "furniture.csv")
	}
	for round := range b.rounds {
		if err := b.smallCatalogue(filepath.Join(b.dir, fmt.Sprint("small", round))); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) smallCatalogue(data string) error {
	s, err := b.start(data)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	b.atMost("start to ready, new", s.ready.Seconds()*1000, 1000, "ms")
	since := time.Now()
	out, err := exec.Command(b.program("catalog"), "import", "-server", s.url, "-delimiter", ";", "-decimal", ",", "-currency", "SAR", "-map",
		"sku=item_id,name=name,category=category,price=price,description=short_description,attributes.designer=designer,attributes.width=width,attributes.height=height,attributes.depth=depth",
		b.furniture).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import: %w\n%s", err, out)
	}
	b.atMost("import of "+filepath.Base(b.furniture), time.Since(since).Seconds(), 5, "s")
	if err := s.stop(); err != nil {
		return err
	}
	if s, err = b.start(s.data); err != nil {
		return err
	}
	b.atMost("start to ready, with data", s.ready.Seconds()*1000, 1000, "ms")
	if err := s.waitIdle(); err != nil {
		return err
	}
	rss, err := s.processes[0].memory("VmRSS")
	if err != nil {
		return err
	}
	b.atMost("idle memory", rss, 100, "MiB")
	return s.stop()
}
