// Command bench measures `catalog up` from outside, as its users meet it, and
// prints each figure beside its limit. It builds the program, runs it on a
// folder of its own and takes a few minutes.
//
//	go run ./bench [-demo N] [-furniture FILE]
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"catalog"
	"catalog/client"
)

func main() {
	demo := flag.Int("demo", 100_000, "`number` of products of the large run")
	furniture := flag.String("furniture", os.Getenv("CATALOG_TEST_FURNITURE"), "a `file` of the furniture shape to import; examples/furniture.csv without it")
	flag.Parse()
	if err := run(*demo, *furniture); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figure is one line of the table.
type figure struct {
	name  string
	value float64
	limit float64
	unit  string
	least bool // the limit is the least, not the most
}

func (f figure) ok() bool { return f.least == (f.value >= f.limit) || f.value == f.limit }

func run(demo int, furniture string) error {
	dir, err := os.MkdirTemp("", "catalog-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "catalog")
	if out, err := exec.Command("go", "build", "-o", program, "catalog/cmd/catalog").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if furniture == "" {
		furniture = filepath.Join("examples", "furniture.csv")
	}
	var figures []figure
	add := func(name string, value, limit float64, unit string, least bool) {
		f := figure{name, value, limit, unit, least}
		figures = append(figures, f)
		fmt.Fprintf(os.Stderr, "%s: %.4g %s\n", name, value, unit)
	}

	// A small catalogue, idle.
	s, err := start(program, filepath.Join(dir, "small"))
	if err != nil {
		return err
	}
	add("start to ready, new", s.ready.Seconds()*1000, 1000, "ms", false)
	settled, readable, findable, err := s.writes(200)
	if err != nil {
		return err
	}
	add("POST until settled, p50", ms(settled, 50), 10, "ms", false)
	add("POST until settled, p99", ms(settled, 99), 50, "ms", false)
	add("write answered until read without a position, p50", ms(readable, 50), 30, "ms", false)
	add("write answered until found without a position, p50", ms(findable, 50), 30, "ms", false)
	since := time.Now()
	out, err := exec.Command(program, "import", "-server", s.url, "-delimiter", ";", "-decimal", ",", "-currency", "SAR", "-map",
		"sku=item_id,name=name,category=category,price=price,description=short_description,attributes.designer=designer,attributes.width=width,attributes.height=height,attributes.depth=depth",
		furniture).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import: %w\n%s", err, out)
	}
	add("import of "+filepath.Base(furniture)+" ("+strings.SplitN(string(out), ":", 2)[0]+")", time.Since(since).Seconds(), 5, "s", false)
	if err := s.stop(); err != nil {
		return err
	}
	if s, err = start(program, s.data); err != nil {
		return err
	}
	add("start to ready, with data", s.ready.Seconds()*1000, 1000, "ms", false)
	time.Sleep(3 * time.Second) // idle is what is measured
	rss, err := s.memory()
	if err != nil {
		return err
	}
	add("idle memory", rss, 100, "MiB", false)
	if err := s.stop(); err != nil {
		return err
	}

	// A large one.
	if s, err = start(program, filepath.Join(dir, "large"), "-demo", strconv.Itoa(demo)); err != nil {
		return err
	}
	rate, searchable, err := s.demo(demo)
	if err != nil {
		return err
	}
	add(fmt.Sprintf("-demo %d, settled", demo), rate, 5000, "products/s", true)
	add(fmt.Sprintf("-demo %d, searchable", demo), searchable, 2000, "products/s", true)
	searches, err := s.searches(2000)
	if err != nil {
		return err
	}
	add("search after it, p50", ms(searches, 50), 20, "ms", false)
	add("search after it, p99", ms(searches, 99), 20, "ms", false)
	if err := s.stop(); err != nil {
		return err
	}

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tmeasured\tlimit\tratio\t")
	for _, f := range figures {
		sign, verdict := "≤", "ok"
		if f.least {
			sign = "≥"
		}
		if !f.ok() {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%.1f %s\t%s %g\t%.2f\t%s\n", f.name, f.value, f.unit, sign, f.limit, f.value/f.limit, verdict)
	}
	return w.Flush()
}

// ms is the percentile of the durations in milliseconds.
func ms(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*percent/100)].Seconds() * 1000
}

// server is a `catalog up` on a folder.
type server struct {
	data, url string
	cmd       *exec.Cmd
	out       chan string
	ready     time.Duration
	client    *client.Client
}

func start(program, data string, flags ...string) (*server, error) {
	http, err := free()
	if err != nil {
		return nil, err
	}
	admin, err := free()
	if err != nil {
		return nil, err
	}
	s := &server{data: data, url: "http://" + http, out: make(chan string, 100), client: client.New("http://" + http)}
	s.cmd = exec.Command(program, append([]string{"up", "-data", data, "-http", http, "-grpc", "127.0.0.1:0", "-admin", admin, "-log.level", "error"}, flags...)...)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	since := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go lines(out, s.out)
	for line := range s.out {
		if strings.HasPrefix(line, "catalog is up") {
			s.ready = time.Since(since)
			return s, nil
		}
	}
	return nil, errors.New("catalog up has ended")
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// memory is what the process has in memory, in MiB.
func (s *server) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(kib)[0], 64)
			return n / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// writes writes n products one after the other and measures each until it is
// settled, and from then until it can be read and found by someone else.
func (s *server) writes(n int) (settled, readable, findable []time.Duration, err error) {
	ctx := context.Background()
	other := client.New(s.url) // sends no positions: it has written nothing
	for i := range n {
		name := fmt.Sprintf("benchmark%dx", i)
		since := time.Now()
		w, err := s.client.Create(ctx, catalog.Draft{Name: name, Price: catalog.Money{Decimal: catalog.Decimal{Units: 10}, Currency: "EUR"}})
		if err != nil {
			return nil, nil, nil, err
		}
		written := time.Now()
		settled = append(settled, written.Sub(since))
		for {
			_, err := other.Product(ctx, w.Product.ID)
			if err == nil {
				break
			}
			if !errors.Is(err, catalog.ErrNotFound) {
				return nil, nil, nil, err
			}
		}
		readable = append(readable, time.Since(written))
		for {
			page, err := other.Search(ctx, catalog.Query{Text: name})
			if err != nil {
				return nil, nil, nil, err
			}
			if page.Total > 0 {
				break
			}
		}
		findable = append(findable, time.Since(written))
	}
	return settled, readable, findable, nil
}

// demo waits until the demo products are settled and found, and answers how
// many of them were, a second.
func (s *server) demo(n int) (settled, searchable float64, err error) {
	since := time.Now()
	for line := range s.out {
		if strings.HasPrefix(line, fmt.Sprintf("demo: %d products", n)) {
			break
		}
	}
	settled = float64(n) / time.Since(since).Seconds()
	for time.Since(since) < 5*time.Minute {
		page, err := s.client.Search(context.Background(), catalog.Query{Limit: 1})
		if err != nil {
			return 0, 0, err
		}
		if page.Total >= int64(n) {
			return settled, float64(n) / time.Since(since).Seconds(), nil
		}
	}
	return 0, 0, errors.New("the demo products were not found after five minutes")
}

// searches does n searches of all kinds, one after the other. Hardly one is
// asked twice, so that each is really looked for.
func (s *server) searches(n int) ([]time.Duration, error) {
	things := []string{"table", "chair", "lamp", "sofa", "desk", "plate", "teapot", "mirror", "rug", "bench", "wardrobe"}
	words := []string{"oak", "beech", "walnut", "steel", "linen", "black", "grey", "mustard", "fjord", "juniper", "kestrel", "solea", "quill"}
	var all []time.Duration
	for i := range n {
		thing, word := things[i%len(things)], words[i%len(words)]
		number := 100 + i*7%900
		low := catalog.Decimal{Units: int64(i % 500)}
		q := []catalog.Query{
			{Text: fmt.Sprint(word, " ", thing, " ", number)},
			{Text: fmt.Sprint(word[:2+i%2], " ", thing[:3], " ", number)}, // while typing
			{Text: fmt.Sprint(thing[:1], thing[2:], " ", number)},         // a letter is missing
			{Text: fmt.Sprintf("DEMO-%06d", 1+i*37%50_000)},
			{Text: thing, MinPrice: &low, Currency: "EUR"},
			{Text: word, Category: "Furniture", Sort: catalog.Cheapest, MinPrice: &low, Currency: "EUR"},
		}[i%6]
		since := time.Now()
		if _, err := s.client.Search(context.Background(), q); err != nil {
			return nil, err
		}
		all = append(all, time.Since(since))
	}
	return all, nil
}

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// lines sends the lines of r, as long as somebody takes them.
func lines(r io.Reader, to chan<- string) {
	defer close(to)
	for s := bufio.NewScanner(r); s.Scan(); {
		to <- s.Text()
	}
}
