// Package rediscluster starts a Redis Cluster of local processes for tests.
package rediscluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

const (
	masters = 3 // each with one replica
	slots   = 16384

	// nodeTimeout is the time in milliseconds without a sign of life after which a
	// replica takes over. It is shorter than a lease of package redis, so that
	// tests see replicas with valid leases that lack the last calls.
	nodeTimeout = "700"

	patience = time.Minute // time to wait for a condition; a busy machine is slow
)

// Cluster is a Redis Cluster with three masters and three replicas.
type Cluster struct {
	t     testing.TB
	nodes []*node
}

// node is one process.
type node struct {
	t            testing.TB
	dir          string
	address, bus string
	id           string
	process      *exec.Cmd
}

// Start starts a cluster. It ends with the test.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 2 * masters {
		n := &node{t: t, dir: t.TempDir(), address: freeport.Address(), bus: freeport.Address()}
		c.nodes = append(c.nodes, n)
		n.start()
		t.Cleanup(n.kill)
		n.id = n.must("CLUSTER MYID")
	}
	first, firstPort, _ := net.SplitHostPort(c.nodes[0].address)
	_, firstBus, _ := net.SplitHostPort(c.nodes[0].bus)
	for i, n := range c.nodes {
		n.must("CLUSTER SET-CONFIG-EPOCH %d", i+1)
		if i < masters {
			n.must("CLUSTER ADDSLOTSRANGE %d %d", i*slots/masters, (i+1)*slots/masters-1)
		}
		if i > 0 {
			n.must("CLUSTER MEET %s %s %s", first, firstPort, firstBus)
		}
	}
	c.await("all nodes know each other", func(n *node) bool {
		info, _ := n.do("CLUSTER INFO")
		return strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.nodes)))
	})
	for i, n := range c.nodes[masters:] {
		n.must("CLUSTER REPLICATE %s", c.nodes[i].id)
	}
	c.Healthy()
	return c
}

// URL returns the URL of the cluster, with the addresses of all nodes.
func (c *Cluster) URL() string {
	url, separator := "redis://"+c.nodes[0].address, "?"
	for _, n := range c.nodes[1:] {
		url, separator = url+separator+"addr="+n.address, "&"
	}
	return url
}

// Healthy waits until all slots are served and each replica has its master's data.
func (c *Cluster) Healthy() {
	c.t.Helper()
	c.await("the cluster is healthy", func(n *node) bool {
		state, _ := n.do("CLUSTER INFO")
		replication, _ := n.do("INFO replication")
		return strings.Contains(state, "cluster_state:ok") && (strings.Contains(replication, "connected_slaves:1") || strings.Contains(replication, "master_link_status:up"))
	})
}

// KillMaster kills the master that serves the key, waits until its replica serves
// it, and restarts the killed node.
func (c *Cluster) KillMaster(key string) {
	c.t.Helper()
	killed := c.master(key)
	killed.kill()
	c.awaitOther(key, killed)
	killed.start()
}

// FreezeMaster stops the master that serves the key for the given time.
func (c *Cluster) FreezeMaster(key string, d time.Duration) {
	c.t.Helper()
	frozen := c.master(key)
	if err := frozen.process.Process.Signal(syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	<-time.After(d)
	if err := frozen.process.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}

// Takeover makes the replica of the master that serves the key a master at once,
// without the agreement of any other node.
func (c *Cluster) Takeover(key string) {
	c.t.Helper()
	old := c.master(key)
	for _, n := range c.nodes {
		if info, _ := n.do("INFO replication"); strings.Contains(info, "role:slave") && strings.Contains(info, "master_port:"+old.address[strings.LastIndex(old.address, ":")+1:]) {
			n.must("CLUSTER FAILOVER TAKEOVER")
			c.awaitOther(key, old)
			return
		}
	}
	c.t.Fatalf("no node is a replica of %s", old.address)
}

// DeleteRandomKey deletes a key of some node, and reports whether there was one.
func (c *Cluster) DeleteRandomKey() bool {
	for _, n := range c.nodes {
		if reply, _ := n.do(`EVAL "local k = redis.call('RANDOMKEY') if k then return redis.call('DEL', k) end return 0" 0`); reply == "1" {
			return true
		}
	}
	return false
}

// master waits until one node serves the key, and returns it.
func (c *Cluster) master(key string) (master *node) {
	c.t.Helper()
	c.until("a node serves "+key, func() bool {
		for _, n := range c.nodes {
			// A node that does not serve the key replies MOVED or CLUSTERDOWN.
			if reply, err := n.do("EXISTS " + key); err == nil && !strings.HasPrefix(reply, "-") {
				master = n
				return true
			}
		}
		return false
	})
	return master
}

// awaitOther waits until another node than the given one serves the key.
func (c *Cluster) awaitOther(key string, than *node) {
	c.t.Helper()
	c.until("another node serves "+key, func() bool { return c.master(key) != than })
}

func (c *Cluster) await(what string, condition func(n *node) bool) {
	c.t.Helper()
	c.until(what, func() bool {
		for _, n := range c.nodes {
			if !condition(n) {
				return false
			}
		}
		return true
	})
}

func (c *Cluster) until(what string, condition func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !condition(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("Redis Cluster: after %v still not: %s", patience, what)
		}
	}
}

func (n *node) start() {
	n.t.Helper()
	_, port, _ := net.SplitHostPort(n.address)
	_, bus, _ := net.SplitHostPort(n.bus)
	n.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--cluster-enabled", "yes", "--cluster-port", bus,
		"--cluster-node-timeout", nodeTimeout, "--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "no", "--dir", n.dir)
	if err := n.process.Start(); err != nil {
		n.t.Fatalf("start redis-server, which this test needs: %v", err)
	}
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		if reply, _ := n.do("PING"); reply == "PONG" {
			return
		}
		if time.Now().After(end) {
			n.t.Fatal("redis-server does not respond")
		}
	}
}

func (n *node) kill() {
	_ = n.process.Process.Kill()
	_ = n.process.Wait()
}

// must sends a command and fails the test on an error. The errors are those of the
// first seconds of a cluster, or a mistake in the test.
func (n *node) must(format string, args ...any) string {
	n.t.Helper()
	command := fmt.Sprintf(format, args...)
	reply, err := n.do(command)
	if err != nil || strings.HasPrefix(reply, "-") {
		n.t.Fatalf("%s at %s: %q, %v", command, n.address, reply, err)
	}
	return reply
}

// do sends a command and returns the reply: the text of a string, the digits of a
// number, or an error with the leading "-".
func (n *node) do(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", n.address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintf(c, "%s\r\n", command)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch {
	case line == "":
		return "", errors.New("empty reply")
	case line[0] == '-':
		return line, nil
	case line[0] != '$':
		return line[1:], nil
	}
	size, err := strconv.Atoi(line[1:])
	if err != nil || size < 0 {
		return "", err
	}
	text := make([]byte, size)
	_, err = io.ReadFull(r, text)
	return string(text), err
}
