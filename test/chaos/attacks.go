package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// attack is a way in which a few clients use the memory and the time of the
// services.
type attack struct {
	name string
	run  func(context.Context) error
}

// attacks returns the attacks in the order of the table. Later ones find the products of earlier
// ones.
func (a *attacker) attacks() []attack {
	return []attack{
		{"300 patches of a largest product", func(ctx context.Context) error { return a.patchLargest(ctx, 300) }},
		{"1,000 patches of a largest product", func(ctx context.Context) error { return a.patchLargest(ctx, 1000) }},
		{"20,000 versions of a product", func(ctx context.Context) error { return a.manyVersions(ctx, 20_000) }},
		{"100 versions of a largest product", a.largestVersions},
		{"100,000 names of attributes", a.attributeNames},
		{"80 largest products in one shard", a.largestShard},
		{"60 products of 34,000 different words", func(ctx context.Context) error { return a.differentWords(ctx, 60) }},
		{"400 large products to a reader that starts", a.catchUp},
		{"a rebuild of a view that is 500 ms away", func(ctx context.Context) error { return a.slowView(ctx, LinkFault{Delay: 250 * time.Millisecond}, 0) }},
		{"a rebuild of a view that is away for a minute", func(ctx context.Context) error { return a.slowView(ctx, LinkFault{Cut: true}, time.Minute) }},
		{"lists of errors", a.errorLists},
		{"commands larger than a record", a.oversized},
		{"imports of largest rows", func(ctx context.Context) error { return a.imports(ctx, a.largestRow, 60) }},
		{"imports of a million rows", func(ctx context.Context) error { return a.imports(ctx, func(int) string { return "{}\n" }, 1_000_000) }},
		{"responses that are not read", a.unread},
	}
}

// attacker sends the requests of the attacks.
type attacker struct {
	*System
	load     *Load // has the HTTP client and the reads
	programs string
	mu       sync.Mutex // held for newID by concurrent callers
	serial   int        // number of the last product
	largest  catalog.ProductData
}

// runAttacks runs the selected attacks, one after the other, and prints the
// largest memory of each service during each.
func runAttacks(ctx context.Context, out io.Writer, s *System, programs, only string) error {
	a := &attacker{System: s, load: newLoad(s.APIs, 0, 0, 0), programs: programs, largest: largestProduct()}
	a.load.http.Timeout = 2 * time.Minute
	var errs []error
	fmt.Fprintf(out, "%-44s %8s %8s %7s %7s\n", "attack", "seconds", "gateway", "writer", "reader")
	for _, attack := range a.attacks() {
		if !selected(attack.name, only) {
			continue
		}
		for _, p := range s.all() {
			if err := p.forgetPeak(); err != nil {
				return err
			}
		}
		since := time.Now()
		s.note("attack: %s", attack.name)
		limited, cancel := context.WithTimeout(ctx, attackTimeout)
		err := errors.Join(attack.run(limited), s.ready(limited))
		cancel()
		took := time.Since(since)
		peak := map[string]int64{}
		for _, service := range services {
			for _, p := range s.processes[service.name] {
				p.measure()
				peak[service.name] = max(peak[service.name], p.peak.Load()>>20)
			}
			if peak[service.name] > maxMemory>>20 {
				err = errors.Join(err, fmt.Errorf("a %s used %d MiB of memory; the limit is %d", service.name, peak[service.name], maxMemory>>20))
			}
		}
		fmt.Fprintf(out, "%-44s %8.1f %8d %7d %7d\n", attack.name, took.Seconds(), peak["gateway"], peak["writer"], peak["reader"])
		if err != nil {
			fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
			errs = append(errs, fmt.Errorf("%w: %s: %w", errBroken, attack.name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// attackTimeout is how long an attack and the recovery from it may take.
const attackTimeout = 10 * time.Minute

// forgetPeak sets the high-water mark of the memory to what the process uses now.
func (p *Process) forgetPeak() error {
	p.peak.Store(0)
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// largestProduct returns product data with the longest description and attributes that are
// allowed, in characters of four bytes.
func largestProduct() catalog.ProductData {
	d := catalog.ProductData{Name: "Largest", Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"},
		Description: strings.Repeat("𝄞", catalog.MaxDescription), Attributes: map[string]string{}}
	for i := range catalog.MaxAttributes {
		d.Attributes[fmt.Sprint("a", i)] = strings.Repeat("𝄞", catalog.MaxAttributeValue)
	}
	return d
}

// largestRow returns a line of an import with a largest product, the same in every line of a
// client.
func (a *attacker) largestRow(client int) string {
	d := a.largest
	d.SKU = fmt.Sprint("LARGEST-", client)
	b, _ := json.Marshal(wire.ProductDataToJSON(d))
	return string(b) + "\n"
}

// newID returns the id of a new product, in the shard unless it is negative.
func (a *attacker) newID(shard int32) string {
	for {
		a.serial++
		if id := catalog.DerivedID("attack", strconv.Itoa(a.serial)); shard < 0 || catalog.Shard(id, shards) == shard {
			return id.String()
		}
	}
}

// reply is a response with its whole body.
type reply struct {
	status int // 0 when there is no response
	header http.Header
	body   []byte
}

// request sends a request to a gateway and returns the response. With a status other than one of
// those wanted it returns an error, too.
func (a *attacker) request(ctx context.Context, method, path, body string, want []int, headers ...string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.APIs[rand.IntN(len(a.APIs))]+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := a.load.http.Do(r)
	if err != nil {
		return reply{}, fmt.Errorf("%s %.60s: %w", method, path, err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err == nil && !slices.Contains(want, w.StatusCode) {
		err = fmt.Errorf("%d; want %v: %.200s", w.StatusCode, want, b)
	}
	if err != nil {
		err = fmt.Errorf("%s %.60s: %w", method, path, err)
	}
	return reply{w.StatusCode, w.Header, b}, err
}

// retry calls f until it succeeds, as clients do after 503, and returns its last error when ctx
// ends.
func retry(ctx context.Context, f func() error) (err error) {
	for {
		if err = f(); err == nil {
			return nil
		}
		if wait := sleep(ctx, 200*time.Millisecond); wait != nil {
			return err
		}
	}
}

// put writes a product, until that is settled or, with async, accepted.
func (a *attacker) put(ctx context.Context, id string, d catalog.ProductData, async bool) (position string, err error) {
	b, err := json.Marshal(wire.ProductDataToJSON(d))
	if err != nil {
		return "", err
	}
	prefer, want := "wait=30", []int{http.StatusOK, http.StatusCreated}
	if async {
		prefer, want = "respond-async", []int{http.StatusAccepted}
	}
	err = retry(ctx, func() error {
		w, err := a.request(ctx, http.MethodPut, "/api/v1/products/"+id, string(b), want, "Prefer", prefer)
		if err == nil {
			position = w.header.Get("Catalog-Position")
		}
		return err
	})
	return position, err
}

// each calls f for the numbers below n, a few at a time, and returns the errors.
func each(n, atOnce int, f func(i int) error) error {
	errs := make([]error, atOnce)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// patch changes the price of a product, asynchronously.
func (a *attacker) patch(ctx context.Context, id string, price int) error {
	return retry(ctx, func() error {
		_, err := a.request(ctx, http.MethodPatch, "/api/v1/products/"+id, fmt.Sprintf(`{"price":{"amount":"%d.00","currency":"EUR"}}`, price),
			[]int{http.StatusAccepted, http.StatusOK}, "Prefer", "respond-async", "Idempotency-Key", fmt.Sprint(id, "-", price))
		return err
	})
}

var errOtherVersion = errors.New("it has more versions than were written")

// waitForVersion waits until the product has the version.
func (a *attacker) waitForVersion(ctx context.Context, id string, version int64) error {
	var last int64 // version of the last successful read
	err := retry(ctx, func() error {
		p, exists, ok := a.load.getProduct(ctx, a.APIs[0], id, "")
		if !ok {
			return errors.New("the last read failed")
		}
		if last = p.Version; !exists || last < version {
			return errors.New("the last read succeeded")
		}
		return nil
	})
	if err != nil || last != version {
		return fmt.Errorf("product %s is at version %d; want %d: %w", id, last, version, cmp.Or(err, errOtherVersion))
	}
	return nil
}

// patchLargest gathers n patches of one largest product while the writers are frozen, so that
// they arrive in one batch.
func (a *attacker) patchLargest(ctx context.Context, n int) error {
	id := a.newID(-1)
	if _, err := a.put(ctx, id, a.largest, false); err != nil {
		return err
	}
	for _, p := range a.processes["writer"] {
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
	}
	// The log makes the batches, not the gateways: the patches are accepted while nothing settles.
	err := each(n, 32, func(i int) error { return a.patch(ctx, id, i+2) })
	for _, p := range a.processes["writer"] {
		err = errors.Join(err, p.cmd.Process.Signal(syscall.SIGCONT))
	}
	return errors.Join(err, a.waitForHistory(ctx, id, int64(n)+1))
}

// waitForHistory waits until the version of the product is in the journal. The view may take
// minutes longer: the stand-in for MongoDB stores one or two of the largest products a second.
func (a *attacker) waitForHistory(ctx context.Context, id string, version int64) error {
	var last int64
	err := retry(ctx, func() error {
		var page api.History
		if status := a.load.read(ctx, a.APIs[0]+"/api/v1/products/"+id+"/history?limit=1", "", &page); status != http.StatusOK || len(page.Items) == 0 {
			return fmt.Errorf("history: status %d", status)
		}
		if last = page.Items[0].Version; last < version {
			return errors.New("not settled yet")
		}
		return nil
	})
	if err != nil || last != version {
		return fmt.Errorf("product %s is settled up to version %d; want %d: %w", id, last, version, cmp.Or(err, errOtherVersion))
	}
	return nil
}

// manyVersions makes n versions of a small product and reads its history.
func (a *attacker) manyVersions(ctx context.Context, n int) error {
	id := a.newID(-1)
	small := catalog.ProductData{Name: "Small", Price: a.largest.Price}
	if _, err := a.put(ctx, id, small, false); err != nil {
		return err
	}
	if err := each(n-1, 32, func(i int) error { return a.patch(ctx, id, i+2) }); err != nil {
		return err
	}
	if err := a.waitForVersion(ctx, id, int64(n)); err != nil {
		return err
	}
	for _, before := range []int{n + 1, n / 2, 101} {
		if _, err := a.request(ctx, http.MethodGet, fmt.Sprintf("/api/v1/products/%s/history?limit=100&before=%d", id, before), "", []int{http.StatusOK}); err != nil {
			return err
		}
	}
	return nil
}

// largestVersions makes 100 versions of a largest product, one after the other, reads all of them
// and follows their changes from the beginning.
func (a *attacker) largestVersions(ctx context.Context) error {
	const n = 100
	id := a.newID(-1)
	if _, err := a.put(ctx, id, a.largest, false); err != nil {
		return err
	}
	for i := range n - 1 {
		if err := a.patch(ctx, id, i+2); err != nil {
			return err
		}
	}
	if err := a.waitForHistory(ctx, id, n); err != nil {
		return err
	}
	versions := 0
	for before := ""; ; {
		var page api.History
		w, err := a.request(ctx, http.MethodGet, "/api/v1/products/"+id+"/history?limit=100"+before, "", []int{http.StatusOK})
		if err != nil {
			return err
		}
		if err := json.Unmarshal(w.body, &page); err != nil {
			return err
		}
		versions += len(page.Items)
		if page.NextBefore == 0 {
			break
		}
		before = fmt.Sprintf("&before=%d", page.NextBefore)
	}
	if versions != n {
		return fmt.Errorf("the history has %d versions; want %d", versions, n)
	}
	return a.follow(ctx, id, n)
}

// follow follows the changes of a product from the beginning until n have arrived. It resumes
// when the stream ends, as clients do.
func (a *attacker) follow(ctx context.Context, id string, n int) error {
	from, got := "0", 0
	for got < n {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.APIs[0]+"/api/v1/changes?product="+id, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Last-Event-ID", from)
		w, err := a.load.http.Do(r)
		if err != nil {
			return fmt.Errorf("follow: %w after %d of %d changes", err, got, n)
		}
		before := got
		for lines := bufio.NewReader(w.Body); got < n; {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			if event, ok := strings.CutPrefix(line, "id: "); ok {
				from = strings.TrimSpace(event)
			}
			if strings.HasPrefix(line, "data: ") {
				got++
			}
		}
		w.Body.Close()
		if got == before {
			return fmt.Errorf("follow: the stream ended without progress after %d of %d changes", got, n)
		}
	}
	return nil
}

// attributeNames makes 1,000 products with 100 attributes each, of which no two have the same
// name, and counts them.
func (a *attacker) attributeNames(ctx context.Context) error {
	const products = 1000
	last := ""
	err := each(products, 16, func(i int) error {
		d := catalog.ProductData{Name: "Names", Price: a.largest.Price, Category: "Names", Attributes: map[string]string{}}
		for j := range catalog.MaxAttributes {
			d.Attributes[fmt.Sprintf("name %d of product %d", j, i)] = "x"
		}
		position, err := a.put(ctx, catalog.DerivedID("names", strconv.Itoa(i)).String(), d, false)
		if i == products-1 {
			last = position
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.waitForTotal(ctx, "Names", products, last)
}

// largestShard fills one shard with 80 largest products and does everything that reads a whole
// shard: verify, rebuild, lists, a takeover, and a reader without an index.
func (a *attacker) largestShard(ctx context.Context) error {
	const products, shard = 80, 0
	ids := make([]string, products)
	for i := range ids {
		ids[i] = a.newID(shard)
	}
	d := a.largest
	d.Category = "Largest"
	if err := each(products, 4, func(i int) error { _, err := a.put(ctx, ids[i], d, false); return err }); err != nil {
		return err
	}
	readers := strings.Join(a.Readers, ",")
	for _, args := range [][]string{{"verify", "-reader", readers}, {"rebuild", "-reader", readers}, {"verify", "-reader", readers}} {
		if err := retryTwice(func() error { _, err := a.catalog(ctx, a.programs, args...); return err }); err != nil {
			return err
		}
	}
	if err := a.listAll(ctx, products); err != nil {
		return err
	}
	for _, p := range a.processes["writer"] {
		if err := p.restart(ctx); err != nil {
			return fmt.Errorf("takeover: %w", err)
		}
	}
	if err := a.startWithoutIndex(ctx); err != nil {
		return err
	}
	return a.listAll(ctx, products)
}

// slowView rebuilds a view of 2,000 products while the links between readers and view have the
// fault: until the end, or from the first seconds on, for that long.
func (a *attacker) slowView(ctx context.Context, fault LinkFault, lasts time.Duration) error {
	err := each(2000, 16, func(int) error {
		a.mu.Lock()
		id := a.newID(-1)
		a.mu.Unlock()
		_, err := a.put(ctx, id, catalog.ProductData{Name: "Small", Price: a.largest.Price}, true)
		return err
	})
	if err != nil {
		return err
	}
	set := func(f LinkFault) {
		for _, k := range a.Links {
			if strings.HasPrefix(k.Name, "reader") && strings.HasSuffix(k.Name, "ferretdb") {
				k.Set(f)
			}
		}
	}
	defer set(LinkFault{})
	if lasts == 0 {
		set(fault)
	} else {
		began := make(chan struct{})
		defer func() { <-began }()
		go func() {
			defer close(began)
			_ = sleep(ctx, 2*time.Second)
			set(fault)
			_ = sleep(ctx, lasts)
			set(LinkFault{})
		}()
	}
	readers, since := strings.Join(a.Readers, ","), time.Now()
	if _, err := a.catalog(ctx, a.programs, "rebuild", "-view", "-reader", readers); err != nil {
		return err
	}
	if took := time.Since(since); took < lasts {
		return fmt.Errorf("void: the rebuild took %v, and the view was to be away for %v of it", took, lasts)
	}
	set(LinkFault{})
	return retryTwice(func() error { _, err := a.catalog(ctx, a.programs, "verify", "-reader", readers); return err })
}

// retryTwice calls f up to three times: a shard may change hands meanwhile.
func retryTwice(f func() error) (err error) {
	for range 3 {
		if err = f(); err == nil {
			return nil
		}
	}
	return err
}

// listAll reads all pages of the largest products, at both gateways.
func (a *attacker) listAll(ctx context.Context, want int) error {
	for _, base := range a.APIs {
		got := 0
		for cursor := ""; ; {
			var page api.Page
			err := retry(ctx, func() error {
				if status := a.load.read(ctx, base+"/api/v1/products?category=Largest&limit=100&cursor="+url.QueryEscape(cursor), "", &page); status != http.StatusOK {
					return fmt.Errorf("list: status %d", status)
				}
				return nil
			})
			if err != nil {
				return err
			}
			got += len(page.Items)
			if cursor = page.NextCursor; cursor == "" {
				break
			}
			page = api.Page{}
		}
		if got != want {
			return fmt.Errorf("the list has %d products; want %d", got, want)
		}
	}
	return nil
}

// differentWords writes n products of 34,000 words each, of which no two are the same, and then
// starts a reader without an index.
func (a *attacker) differentWords(ctx context.Context, n int) error {
	last := ""
	err := each(n, 4, func(i int) error {
		d := catalog.ProductData{Name: "Words", Price: a.largest.Price, Category: "Words", Attributes: map[string]string{}}
		for j := range catalog.MaxAttributes {
			var text strings.Builder
			for word := 1_000_000*i + 10_000*j; text.Len() < catalog.MaxAttributeValue-8; word++ {
				fmt.Fprintf(&text, "%s ", strconv.FormatInt(int64(word), 36))
			}
			d.Attributes[fmt.Sprint("a", j)] = text.String()
		}
		position, err := a.put(ctx, catalog.DerivedID("words", strconv.Itoa(i)).String(), d, false)
		if i == n-1 {
			last = position
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := a.waitForTotal(ctx, "Words", n, last); err != nil {
		return err
	}
	if err := a.startWithoutIndex(ctx); err != nil {
		return err
	}
	return a.waitForTotal(ctx, "Words", n, last)
}

// startWithoutIndex kills the first reader, deletes its index and starts it.
func (a *attacker) startWithoutIndex(ctx context.Context) error {
	p := a.processes["reader"][0]
	if err := errors.Join(p.Kill(syscall.SIGKILL), os.RemoveAll(filepath.Join(a.dir, "index1")), p.Start(""), p.Ready(ctx)); err != nil {
		return fmt.Errorf("start of a reader without an index: %w", err)
	}
	return nil
}

// waitForTotal waits until a list of the category, at or after the position, has n products.
func (a *attacker) waitForTotal(ctx context.Context, category string, n int, position string) error {
	return retry(ctx, func() error {
		w, err := a.request(ctx, http.MethodGet, "/api/v1/products?facets=true&limit=1&category="+url.QueryEscape(category), "", []int{http.StatusOK}, "Catalog-Position", position)
		var page api.Page
		if err == nil {
			err = json.Unmarshal(w.body, &page)
		}
		if err == nil && page.Total < int64(n) {
			err = fmt.Errorf("%d products are found; want %d", page.Total, n)
		}
		return err
	})
}

// catchUp writes 400 products of 760 KB while no reader runs, and starts the readers.
func (a *attacker) catchUp(ctx context.Context) error {
	const products = 400
	d := a.largest
	d.Description = ""
	for _, p := range a.processes["reader"] {
		if err := p.Kill(syscall.SIGTERM); err != nil {
			return err
		}
	}
	ids := make([]string, products)
	for i := range ids {
		ids[i] = a.newID(-1)
	}
	err := each(products, 4, func(i int) error { _, err := a.put(ctx, ids[i], d, false); return err })
	for _, p := range a.processes["reader"] {
		err = errors.Join(err, p.Start(""))
	}
	if err == nil {
		err = a.ready(ctx)
	}
	if err == nil {
		err = each(products, 4, func(i int) error { return a.waitForVersion(ctx, ids[i], 1) })
	}
	return err
}

// errorLists sends bodies and queries with very many errors. Each response must be short.
func (a *attacker) errorLists(ctx context.Context) error {
	const clients, maxResponse = 30, 64 << 10
	tags := `{"name":"x","price":{"amount":"1","currency":"EUR"},"tags":[1` + strings.Repeat(",1", 500_000) + `]}`
	var query strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&query, "&p%d", i)
	}
	requests := []struct {
		name, method, path, body, contentType string
		want                                  []int
	}{
		{"tags", http.MethodPost, "/api/v1/products", tags, "application/json", []int{http.StatusBadRequest, http.StatusTooManyRequests}},
		{"query", http.MethodGet, "/api/v1/products?limit=1" + query.String(), "", "", []int{http.StatusBadRequest}},
		{"import", http.MethodPost, "/api/v1/imports", strings.Repeat(tags+"\n", 5), "application/x-ndjson", []int{http.StatusOK, http.StatusTooManyRequests, http.StatusServiceUnavailable}},
	}
	return each(clients, clients, func(int) error {
		for _, r := range requests {
			w, err := a.request(ctx, r.method, r.path, r.body, r.want, "Content-Type", r.contentType)
			if err == nil && len(w.body) > maxResponse {
				err = fmt.Errorf("%s: the response to errors has %d bytes; want at most %d", r.name, len(w.body), maxResponse)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// oversized sends patches that no record can hold. They are refused, and no write of another
// client is.
func (a *attacker) oversized(ctx context.Context) error {
	id := a.newID(-1)
	if _, err := a.put(ctx, id, catalog.ProductData{Name: "Small", Price: a.largest.Price}, false); err != nil {
		return err
	}
	body := `{"attributes":{"` + strings.Repeat("k", 1_000_100) + `":null}}`
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	var attackers sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		attackers.Go(func() {
			for attacking.Err() == nil && errs[i] == nil {
				_, err := a.request(attacking, http.MethodPatch, "/api/v1/products/"+id, body, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge})
				if attacking.Err() == nil {
					errs[i] = err
				}
			}
		})
	}
	var writes []error
	for i := range 40 {
		_, err := a.request(ctx, http.MethodPatch, "/api/v1/products/"+id, fmt.Sprintf(`{"name":"Small %d"}`, i), []int{http.StatusOK, http.StatusAccepted})
		writes = append(writes, err)
	}
	stop()
	attackers.Wait()
	return errors.Join(append(writes, errs...)...)
}

// imports sends the row of each of four clients that many times, in four imports at once.
func (a *attacker) imports(ctx context.Context, rowOf func(client int) string, rows int) error {
	const clients = 4
	return each(clients, clients, func(i int) error {
		row := rowOf(i)
		body := io.LimitReader(&repeatReader{text: []byte(row)}, int64(rows*len(row)))
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.APIs[0]+"/api/v1/imports", body)
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		w, err := http.DefaultClient.Do(r) // an import may take long
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		defer w.Body.Close()
		// The response may say that the import stopped early; its length is limited.
		n, err := io.Copy(io.Discard, w.Body)
		if sent := int64(rows * len(row)); err == nil && n > sent+sent/2+(1<<20) && len(row) > 100 {
			err = fmt.Errorf("the response has %d bytes, and the request %d", n, sent)
		}
		return err
	})
}

// repeatReader returns its text again and again.
type repeatReader struct {
	text []byte
	at   int
}

func (r *repeatReader) Read(b []byte) (n int, err error) {
	for n < len(b) {
		copied := copy(b[n:], r.text[r.at:])
		n, r.at = n+copied, (r.at+copied)%len(r.text)
	}
	return n, nil
}

// unread asks for long lists over several connections and reads none of them. The gateways must
// end these connections.
func (a *attacker) unread(ctx context.Context) error {
	const connections, products, pageSize = 15, 20, 1 << 20
	const path = "/api/v1/products?category=Unread&limit=100"
	d, last := a.largest, ""
	d.Category = "Unread"
	for range products {
		var err error
		if last, err = a.put(ctx, a.newID(0), d, false); err != nil {
			return err
		}
	}
	err := retry(ctx, func() error {
		w, err := a.request(ctx, http.MethodGet, path, "", []int{http.StatusOK}, "Catalog-Position", last)
		if err == nil && len(w.body) < pageSize {
			err = fmt.Errorf("a page has %d bytes; want %d or more", len(w.body), pageSize)
		}
		return err
	})
	if err != nil {
		return err
	}
	var conns []*net.TCPConn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range connections {
		host := strings.TrimPrefix(a.APIs[i%len(a.APIs)], "http://")
		request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
		c, err := net.Dial("tcp", host)
		if err != nil {
			return err
		}
		conns = append(conns, c.(*net.TCPConn))
		_ = conns[i].SetReadBuffer(4 << 10)
		if _, err := conns[i].Write(bytes.Repeat(request, 8)); err != nil {
			return err
		}
	}
	// A write to a connection that its peer has ended fails, sooner or later.
	return retry(ctx, func() error {
		open := 0
		for _, c := range conns {
			if _, err := c.Write([]byte("\r\n")); err == nil {
				open++
			}
		}
		if open > 0 {
			return fmt.Errorf("%d of %d connections whose responses are not read are still open", open, connections)
		}
		return nil
	})
}
