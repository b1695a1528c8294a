package main

// mutants lists the bugs, in the order in which a command passes their places.
var mutants = []mutant{
	{
		bug:  "a refusal loses the number of the fields that it does not list",
		file: "internal/wire/proto.go", old: "e.Refusal.Fields = append(e.Refusal.Fields, catalog.FieldError{Field: f.GetField(), Reason: f.GetReason()})", new: "e.Refusal.Add(f.GetField(), f.GetReason())",
		pkg: "./internal/wire", test: "TestRoundTrip_manyFieldErrors",
	},
	{
		bug:  "records go to the wrong partition",
		file: "engine/kafka/kafka.go", old: "return catalog.Shard(product, l.shards)", new: "return int32(int(product[15]) % l.shards)",
		pkg: "./engine/kafka", test: "TestProducer",
	},
	{
		bug:  "a command is accepted before the log has stored it",
		file: "engine/kafka/producer.go", old: "	case <-done:\n		return sendError(errs)", new: "	default:\n		return nil",
		pkg: "./engine/kafka", test: "TestSendCommands",
	},
	{
		bug:  "each record is a request of its own",
		file: "engine/kafka/rounds.go", old: "if r.busy[broker] != nil {", new: "if false {",
		pkg: "./engine/kafka", test: "TestRounds",
	},
	{
		bug:  "imports wait in pauses between their rounds",
		file: "engine/kafka/rounds.go", old: "t.records == 1 || t.records >= largeRound", new: "t.records == 1",
		pkg: "./engine/kafka", test: "TestRounds",
	},
	{
		bug:  "a round that hangs holds up all others",
		file: "engine/kafka/rounds.go", old: "t.timer = time.AfterFunc(slowRound, func() { r.end(broker, t) })", new: "t.timer = time.NewTimer(slowRound)",
		pkg: "./engine/kafka", test: "TestRounds",
	},
	{
		bug:  "records of a partition overtake one another",
		file: "engine/kafka/rounds.go", old: "for _, o := range r.waiting {", new: "for i := range r.waiting {\n\t\to := r.waiting[len(r.waiting)-1-i]",
		pkg: "./engine/kafka", test: "TestRounds",
	},
	{
		bug:  "a missing offset is skipped",
		file: "engine/kafka/fetcher.go", old: "kgo.ConsumeResetOffset(kgo.NoResetOffset())", new: "kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd())",
		pkg: "./engine/kafka", test: "TestFetcher",
	},
	{
		bug:  "records that could not be handled are skipped",
		file: "engine/kafka/partition_worker.go", old: "		if err == nil || errors.Is(err, catalog.ErrFenced) || unrecoverable(err) {\n			return err", new: "		if true {\n			return nil",
		pkg: "./engine/kafka", test: "TestPartitionWorker",
	},
	{
		bug:  "an event with a product that breaks the rules is applied",
		file: "engine/kafka/records.go", old: "case e.Applied() && e.Product.Exists():", new: "case false:",
		pkg: "./engine/kafka", test: "TestDecodeEvent",
	},
	{
		bug:  "a dead letter with a long cause is larger than a record",
		file: "engine/kafka/dead_letters.go", old: "text[:min(len(text), maxCauseBytes)]", new: "text[:len(text)]",
		pkg: "./engine/kafka", test: "TestDeadLetter_longCause",
	},
	{
		bug:  "all errors of a record are collected",
		file: "internal/wire/proto.go", old: "protovalidate.Validate(m, protovalidate.WithFailFast())", new: "protovalidate.Validate(m)",
		pkg: "./internal/wire", test: "TestDecodeCommand_invalid",
	},
	{
		bug:  "a batch of the index is as large as its texts, however many words they have",
		file: "reader/indexer/queue.go", old: "p.Size() + wordBytes*p.WordCount()", new: "p.Size() + 0*p.WordCount()",
		pkg: "./reader/indexer", test: "TestIndexQueue_words",
	},
	{
		bug:  "the first part of a large change moves the offset",
		file: "reader/projection/event_consumer.go", old: "part.Seq, part.Offset = to.Seq-int64(len(events)-n), before.Offset", new: "part.Seq, part.Offset = to.Seq-int64(len(events)-n), max(before.Offset, to.Offset)",
		pkg: "./reader/projection", test: "TestEventConsumer_parts",
	},
	{
		bug:  "a topic that was cut and has grown again is read on",
		file: "engine/kafka/partition_worker.go", old: "got.Digest != f.last.Digest", new: "false",
		pkg: "./engine/kafka", test: "TestPartitionWorker_lastRecord",
	},
	{
		bug:  "a shard that has lost commands goes on after a restart",
		file: "writer/shard.go", old: "	if state.Stopped != \"\" {\n", new: "	if false {\n",
		pkg: "./writer", test: "TestBegin",
	},
	{
		bug:  "events that the topic has lost at its end are not published again",
		file: "writer/shard.go", old: "	if last == 0 {\n", new: "	if last < state.Published {\n",
		pkg: "./writer", test: "TestBegin",
	},
	{
		bug:  "events that the topic has lost while its shard is idle are not noticed",
		file: "writer/shard.go", old: "	case lost: // any other error is temporary\n", new: "	case lost && number < 0:\n",
		pkg: "./writer", test: "TestCheck",
	},
	{
		bug:  "an events topic that is shorter than what was published counts as whole",
		file: "engine/kafka/topics.go", old: "	return state.ends[shard] < want, nil\n", new: "	return want < 0, nil\n",
		pkg: "./engine/kafka", test: "TestEventsLost",
	},
	{
		bug:  "a reader does not read its last event again after a lost connection",
		file: "engine/kafka/partition_worker.go", old: "	if w.losses != nil || w.repeats {\n", new: "	if w.losses != nil {\n",
		pkg: "./engine/kafka", test: "TestPartitionWorker_repeats",
	},
	{
		bug:  "an event that took the place of the last one is not applied",
		file: "reader/projection/event_consumer.go", old: "	if len(next) == 0 && len(r.DeadLetters) == 0 && r.To <= at.Offset {\n", new: "	if len(r.DeadLetters) == 0 && r.To <= at.Offset {\n",
		pkg: "./reader/projection", test: "TestEventConsumer",
	},
	{
		bug:  "a client with a wrong clock sets the times of records",
		file: "engine/kafka/topic_settings.go", old: "\"LogAppendTime\"", new: "\"CreateTime\"",
		pkg: "./engine/kafka", test: "TestTopics",
	},
	{
		bug:  "a record with a wrong signature is believed",
		file: "engine/kafka/signature.go", old: "			if hmac.Equal(h.Value, mac(key, r)) {\n", new: "			if key != nil {\n",
		pkg: "./engine/kafka", test: "TestSigner",
	},
	{
		bug:  "a shard that does not move is not reported",
		file: "engine/kafka/stuck_check.go", old: "			if d <= g.log.stuckLimit {\n", new: "			if true {\n",
		pkg: "./engine/kafka", test: "TestStuckCheck",
	},
	{
		bug:  "an event that the brokers refuse is sent again for ever",
		file: "writer/publisher.go", old: "	if err == nil || errors.Is(err, catalog.ErrInconsistent) {\n		return err\n	}\n	return fmt.Errorf(\"%w: %w\", catalog.ErrFenced, err)\n", new: "	if err == nil || errors.Is(err, nil) {\n		return err\n	}\n	return fmt.Errorf(\"%w: %v\", catalog.ErrFenced, err)\n",
		pkg: "./writer", test: "TestPublisher_refusedEvent",
	},
	{
		bug:  "a command with fields of a newer version is settled without them",
		file: "internal/wire/proto.go", old: "	if hasUnknown(m.ProtoReflect()) {\n", new: "	if false {\n",
		pkg: "./internal/wire", test: "TestDecodeCommand_newerVersion",
	},
	{
		bug:  "a call of a shard to the store has no deadline",
		file: "writer/shard.go", old: "	ctx, cancel := context.WithTimeout(ctx, d)\n	defer cancel()\n	return f(ctx)\n", new: "	return f(ctx)\n",
		pkg: "./writer", test: "TestHandle_hangingStore",
	},
	{
		bug:  "a forged event far ahead is applied by a repair",
		file: "internal/repair/repair.go", old: "	if e.Product.Version != version {\n", new: "	if false {\n",
		pkg: "./internal/repair", test: "TestExamine",
	},
	{
		bug:  "the change feed follows a forged seq",
		file: "internal/changefeed/changefeed.go", old: "			f.heads[shard] = unknown\n", new: "			f.heads[shard] = e.Seq\n",
		pkg: "./internal/changefeed", test: "TestFeed_forgedSeq",
	},
	{
		bug:  "a batch is settled without compare-and-set",
		file: "eventlog/batch.go", old: "s.Epoch == b.Epoch && s.Offset == b.From && s.NextSeq == b.NextSeq", new: "s.Shard == b.Shard",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "events that may not be published are archived",
		file: "eventlog/batch.go", old: "archived > s.Published", new: "archived >= s.NextSeq",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a takeover does not fence the previous owner",
		file: "engine/sqlite/store.go", old: "SET epoch = epoch + 1 WHERE", new: "SET epoch = epoch WHERE",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a repeated command is settled again",
		file: "eventlog/settle.go", old: "d.Settled[ShardCommand{b.Shard, c.ID}] || settled[c.ID]", new: "settled[c.ID]",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a command does not see the effects of earlier commands in its batch",
		file: "eventlog/settle.go", old: "			products[c.Product] = e.Product\n", new: "			_ = products\n",
		pkg: "./eventlog", test: "TestSettle.*",
	},
	{
		bug:  "two products get the same SKU",
		file: "eventlog/settle.go", old: "owner != (catalog.ID{}) && owner != next.ID", new: "owner == (catalog.ID{1})",
		pkg: "./eventlog", test: "TestSettle.*",
	},
	{
		bug:  "SKUs that differ only in case are two",
		file: "sku.go", old: "	return strings.ToLower(sku)\n", new: "	return sku\n",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a product takes the key of the SKU of another one",
		file: "eventlog/group.go", old: "	if s.Keyless[p.ID] && key ==", new: "	if false && key ==",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a product with the SKU of a deleted one forgets the past prices",
		file: "eventlog/settle.go", old: "			p = p.WithFormerPrices(", new: "			_ = p.WithFormerPrices(",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a migration gives a product the SKU of another one",
		file: "cmd/catalog/normalize.go", old: "taken && owner != p.ID {", new: "taken && owner == p.ID {",
		pkg: "./cmd/catalog", test: "TestNormalizeTexts",
	},
	{
		bug:  "texts of a file that are normalized in part count as normalized",
		file: "cmd/catalog/normalize.go", old: "	if changed, err = n.run(ctx); err != nil {\n", new: "	if changed, err = n.run(ctx); err != nil && changed > 0 {\n",
		pkg: "./cmd/catalog", test: "TestNormalizeTexts",
	},
	{
		bug:  "texts of a file are normalized before the commands that an earlier process has left",
		file: "cmd/catalog/normalize.go", old: "st.Offset >= end, err", new: "st.Offset >= min(end, 0), err",
		pkg: "./cmd/catalog", test: "TestNormalizeTexts",
	},
	{
		bug:  "a product that a client changes while texts are normalized keeps its texts",
		file: "cmd/catalog/normalize.go", old: "		if attempts > 1 {\n", new: "		if attempts > maxNormalizeAttempts {\n",
		pkg: "./cmd/catalog", test: "TestNormalizeTexts",
	},
	{
		bug:  "a version that is restored brings texts back that are not normalized",
		file: "gateway/restore.go", old: "wire.NormalizeData(e.Product.ProductData)", new: "e.Product.ProductData",
		pkg: "./gateway", test: "TestRestore",
	},
	{
		bug:  "If-Match is ignored",
		file: "decide.go", old: "c.Version != 0 && c.Version != p.Version && ", new: "c.Version < 0 && ",
		pkg: ".", test: "Test.*",
	},
	{
		bug:  "a command without an effect makes a version",
		file: "decide.go", old: "p.Exists() && p.ProductData.Equal(d)", new: "false",
		pkg: ".", test: "Test.*",
	},
	{
		bug:  "a recreated product starts at version 1",
		file: "decide.go", old: "ProductData: d, Version: p.Version + 1,", new: "ProductData: d, Version: map[bool]int64{true: p.Version + 1, false: 1}[p.Exists()],",
		pkg: ".", test: "Test.*",
	},
	{
		bug:  "events are published before they are committed",
		file: "writer/shard.go", old: "	settled, err := w.settle(ctx, b, r.Attempt)\n", new: "	early := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{}, w.now())\n	w.log.PublishEvents(ctx, early[0].Events, func(error) {})\n	settled, err := w.settle(ctx, b, r.Attempt)\n",
		pkg: "./writer", test: "TestHandle",
	},
	{
		bug:  "statements are prepared again for each use",
		file: "engine/sqlite/statements.go", old: "	if s, ok := c.free[text]; ok {\n", new: "	if s, ok := c.free[text]; false && ok {\n",
		pkg: "./engine/sqlite", test: "TestStatements",
	},
	{
		bug:  "a lone batch waits for others",
		file: "writer/group.go", old: "	if len(members) > 0 {\n", new: "	if len(members) > 1 {\n",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "each batch is settled in a transaction of its own",
		file: "writer/group.go", old: "if !g.busy && len", new: "if len",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "the first batch of several that arrive together is settled alone",
		file: "writer/group.go", old: "	g.gather()\n", new: "",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a transaction that hangs stops all shards",
		file: "writer/group.go", old: "time.AfterFunc(slowTransaction, g.startNext)", new: "time.AfterFunc(2*storeTimeout, g.startNext)",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a group has any number of commands",
		file: "writer/group.go", old: "commands > maxBatchCommands", new: "false",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a shard that is revoked rolls back its group",
		file: "writer/group.go", old: "context.WithoutCancel(members[0].ctx)", new: "members[0].ctx",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "one bad command fails the batches of all shards in its group",
		file: "writer/shard.go", old: "!errors.Is(err, errNotCommitted) && !errors.Is(err, eventlog.ErrLeftOut)", new: "!errors.Is(err, eventlog.ErrLeftOut)",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a batch that is left out of its group is not settled alone",
		file: "writer/shard.go", old: "!errors.Is(err, errNotCommitted) && !errors.Is(err, eventlog.ErrLeftOut)", new: "!errors.Is(err, errNotCommitted)",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a batch that failed is settled in a group again",
		file: "writer/shard.go", old: "	if attempt == 0 && len(b.DeadLetters) == 0 {\n", new: "	if len(b.DeadLetters) == 0 {\n",
		pkg: "./writer", test: "TestGroups",
	},
	{
		bug:  "a fenced batch is settled with its group",
		file: "eventlog/settle.go", old: "		if err := k.LeftOut[b.Shard]; err != nil {\n", new: "		if err := k.LeftOut[b.Shard]; false {\n",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "two shards of a group get the same SKU",
		file: "eventlog/settle.go", old: "		all[i] = d.settle(b)\n", new: "		d.SKUs = k.SKUs\n		k.SKUs.ByKey = maps.Clone(k.SKUs.ByKey)\n		all[i] = d.settle(b)\n",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "the events of a group have no limit of bytes together",
		file: "eventlog/settle.go", old: "		all[i] = d.settle(b)\n", new: "		d.bytes, d.stopped = 0, false\n		all[i] = d.settle(b)\n",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a takeover does not publish what the previous owner left unpublished",
		file: "writer/publisher.go", old: "for from := p.seq.Load() + 1; from < s.state.NextSeq;", new: "for from := s.state.NextSeq; from < s.state.NextSeq;",
		pkg: "./writer", test: "TestBegin",
	},
	{
		bug:  "a commit with a lost response counts as failed",
		file: "writer/shard.go", old: "	case state.Offset == b.From:\n", new: "	default:\n",
		pkg: "./writer", test: "TestHandle_lostResponse",
	},
	{
		bug:  "a failed publish is not repeated",
		file: "writer/publisher.go", old: "			p.err.CompareAndSwap(nil, &err)\n", new: "",
		pkg: "./writer", test: "TestPublisher",
	},
	{
		bug:  "a store restored from a backup is accepted",
		file: "writer/shard.go", old: "last >= state.NextSeq", new: "false",
		pkg: "./writer", test: "TestBegin",
	},
	{
		bug:  "an undecodable record is dropped",
		file: "engine/sqlite/settle.go", old: "execEach(ctx, tx, insertDeadLetter, b.DeadLetters, deadLetterArgs)", new: "execEach(ctx, tx, insertDeadLetter, nil, deadLetterArgs)",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a batch of large events is settled in one transaction",
		file: "eventlog/settle.go", old: "d.bytes >= MaxBatchBytes", new: "d.bytes < 0",
		pkg: "./eventlog", test: "TestSettle.*",
	},
	{
		bug:  "a part of a batch moves the shard past the rest",
		file: "engine/sqlite/settle.go", old: "b := g[i].UpTo(s.To)", new: "b := g[i]",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a page counts its events and not their bytes",
		file: "engine/sqlite/rows.go", old: "bytes >= eventlog.MaxPageBytes", new: "bytes >= 1000*eventlog.MaxPageBytes",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "the seq of a snapshot is newer than its products",
		file: "engine/sqlite/snapshot.go", old: "	return st.NextSeq, nil\n", new: "	st, err = s.State(ctx, shard)\n	return st.NextSeq, err\n",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a snapshot is read in one transaction, however slow its client is",
		file: "engine/sqlite/snapshot.go", old: "	for after, more := (catalog.ID{}), true; more; {\n		args[1] = after[:]\n		var page []catalog.Product\n		page, more, err = queryPage(ctx, s.db.read,",
		new: "	tx, err := s.db.read.BeginTx(ctx, nil)\n	if err != nil {\n		return 0, err\n	}\n	defer tx.Rollback()\n	for after, more := (catalog.ID{}), true; more; {\n		args[1] = after[:]\n		var page []catalog.Product\n		page, more, err = queryPage(ctx, tx,",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "the buffers of all shards together have no limit",
		file: "engine/kafka/fetcher.go", old: "		m.paused = true\n		m.pause()\n", new: "		m.paused = true\n",
		pkg: "./engine/kafka", test: "TestFetchMemory",
	},
	{
		bug:  "events on their way to the brokers have no limit",
		file: "engine/kafka/producer.go", old: "l.publishing().Acquire(ctx, bytes)", new: "error(nil)",
		pkg: "./engine/kafka", test: "TestPublishEvents_memory",
	},
	{
		bug:  "a client that reads nothing keeps its stream",
		file: "internal/rpc/rpc.go", old: "case <-timeout.C:", new: "case <-make(chan time.Time):",
		pkg: "./writer", test: "TestServer_streams",
	},
	{
		bug:  "replays and snapshots have one share",
		file: "writer/grpc.go", old: "s.startStream(stream.Context(), \"writer.snapshots\", snapshotShare)", new: "s.startStream(stream.Context(), \"writer.replays\", replayShare)",
		pkg: "./writer", test: "TestServer_streams",
	},
	{
		bug:  "a gap in the events is skipped",
		file: "reader/projection/event_consumer.go", old: "		if e.Seq > want {\n", new: "		if e.Seq > want && false {\n",
		pkg: "./reader/projection", test: "TestEventConsumer",
	},
	{
		bug:  "a duplicate event is applied twice",
		file: "reader/projection/event_consumer.go", old: "		if e.Seq < want {\n", new: "		if e.Seq < 0 {\n",
		pkg: "./reader/projection", test: "TestEventConsumer",
	},
	{
		bug:  "the checkpoint is saved before the view has the products",
		file: "reader/projection/projection.go", old: "	failpoint.Here(failpoint.ReaderInvalidated)\n", new: "	_ = p.view.SaveCheckpoints(ctx, []eventlog.Checkpoint{c.To})\n	failpoint.Here(failpoint.ReaderInvalidated)\n",
		pkg: "./test/chaos", test: "TestCrash",
	},
	{
		bug:  "a newer product that an insertion finds is not replaced",
		file: "engine/mongo/view.go", old: "		case !entries[e.Index].first:\n", new: "		case entries[e.Index].first:\n",
		pkg: "./engine/mongo", test: "TestDuplicates",
	},
	{
		bug:  "a renewal of a lease is valid after Redis has lost calls",
		file: "engine/redis/lease.go", old: " and l[3] == ARGV[a + 2]", new: "",
		pkg: "./engine/redis", test: "TestLease_lateCall",
	},
	{
		bug:  "a repeated event does not move the checkpoint of a shard that another reader had",
		file: "engine/mongo/checkpoints.go", old: "Change: c.latest[p.Shard].Change + 1}", new: "Change: next[p.Shard].Change + 1}",
		pkg: "./engine/mongo", test: "TestCheckpoints",
	},
	{
		bug:  "a reader that starts removes the checkpoints of another one",
		file: "engine/mongo/checkpoints.go", old: "		c.retired, c.own = old, adopted\n", new: "		c.retired = old\n",
		pkg: "./engine/mongo", test: "TestCheckpoints",
	},
	{
		bug:  "a view that is too slow does not slow the writer",
		file: "writer/throttle.go", old: "	if t.rate == 0 {\n		t.mu.Unlock()\n		return n, nil\n	}\n", new: "	if true {\n		t.mu.Unlock()\n		return n, nil\n	}\n",
		pkg: "./writer", test: "TestThrottle",
	},
	{
		bug:  "a view that is away stops writes",
		file: "writer/throttle.go", old: "if known[shard] = s; behind > 0 && now.Sub(s.at) < viewStalled {", new: "if known[shard] = s; behind > 0 {",
		pkg: "./writer", test: "TestThrottle",
	},
	{
		bug:  "a change is written after its shard has ended",
		file: "reader/projection/view_writer.go", old: "	return <-w.done // its group ends now\n", new: "	return ctx.Err()\n",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "one change that cannot be written stops those of other shards",
		file: "reader/projection/view_writer.go", old: "		if len(group) == 1 || err == nil || ", new: "		if true || ",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "checkpoints of a group are saved before its products",
		file: "reader/projection/view_writer.go", old: "	ctx = telemetry.WithBatches(ctx, traces...)\n", new: "	ctx = telemetry.WithBatches(ctx, traces...)\n	_ = v.view.SaveCheckpoints(ctx, checkpoints)\n",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "a shard goes on while its checkpoints cannot be saved",
		file: "reader/projection/view_writer.go", old: "			err = w.previous.wait(ctx)\n", new: "			_ = w.previous.wait(ctx)\n",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "a checkpoint whose save failed is not saved again",
		file: "reader/projection/checkpoint_saver.go", old: "		s.repeat(current)\n", new: "",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "a watermark advances before the products of its group are written",
		file: "reader/projection/view_writer.go", old: "	ctx = telemetry.WithBatches(ctx, traces...)\n", new: "	ctx = telemetry.WithBatches(ctx, traces...)\n	v.watermarks.Advance(checkpoints...)\n",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "a repeated change counts its delay twice",
		file: "reader/projection/view_writer.go", old: "w.change.settledAfter(readable)", new: "w.change.settledAfter(readable - readable)",
		pkg: "./reader/projection", test: "TestViewWriter",
	},
	{
		bug:  "reads see the position before the view has the products",
		file: "reader/projection/projection.go", old: "	failpoint.Here(failpoint.ReaderPolled)\n", new: "	v.p.watermarks.Advance(c.To)\n	time.Sleep(20 * time.Millisecond)\n",
		pkg: "./test/e2e", test: "TestFailures",
	},
	{
		bug:  "the view takes older versions",
		file: "engine/sqlite/view.go", old: "WHERE excluded.version > version`, products", new: "`, products",
		pkg: "./engine/sqlite", test: "TestView",
	},
	{
		bug:  "a deleted product leaves no tombstone in the view",
		file: "engine/sqlite/view.go", old: "		return execEach(ctx, tx, `\n			INSERT INTO `+v.products", new: "		for _, p := range products {\n			if p.Deleted {\n				_, _ = tx.ExecContext(ctx, \"DELETE FROM view_products WHERE id = ?\", p.ID[:])\n			}\n		}\n		products = slices.DeleteFunc(products, func(p catalog.Product) bool { return p.Deleted })\n		return execEach(ctx, tx, `\n			INSERT INTO `+v.products",
		pkg: "./engine/sqlite", test: "TestView",
	},
	{
		bug:  "a product read before a change is cached after it",
		file: "engine/redis/cache.go", old: "lease[1] ~= ARGV[1] or lease[2] ~= '1' or (lease[3] or '') ~= ARGV[3]", new: "lease[1] ~= ARGV[1] or lease[2] ~= '1'",
		pkg: "./engine/redis", test: "TestCache",
	},
	{
		bug:  "the lease holder trusts an old snapshot of Redis",
		file: "engine/redis/lease.go", old: " or lease[3] ~= ARGV[4]", new: "",
		pkg: "./engine/redis", test: "TestLease_oldSnapshot",
	},
	{
		bug:  "Redis executes a late call on a lease that has changed since",
		file: "engine/redis/lease.go", old: "if holder[1] == ARGV[1] and tonumber(holder[2]) >= tonumber(ARGV[5]) then return result('') end\n", new: "",
		pkg: "./engine/redis", test: "TestLease_lateCall",
	},
	{
		bug:  "a former holder of a lease recreates it",
		file: "engine/redis/lease.go", old: "if holder[1] and holder[1] ~= ARGV[1] and (ARGV[2] == '' or holder[1] ~= ARGV[10]) then return result('') end\n", new: "",
		pkg: "./engine/redis", test: "TestLease_lateCall",
	},
	{
		bug:  "a deletion forgets the past prices",
		file: "decide.go", old: "		gone.PastPrices = appendPastPrice(p.PastPrices, p.Price, gone.UpdatedAt)\n", new: "",
		pkg: ".", test: "TestLowestPrior",
	},
	{
		bug:  "a product forgets the price before reductions in steps",
		file: "prices.go", old: "		from = before[len(before)-1].Until\n", new: "		_ = before\n",
		pkg: ".", test: "TestLowestPrior_reductionsInSteps",
	},
	{
		bug:  "a product that gets the SKU of a deleted one shows a prior price above its own",
		file: "prices.go", old: "		past = append(slices.Clip(past), PastPrice{p.Price, at})\n", new: "",
		pkg: ".", test: "TestWithFormerPrices",
	},
	{
		bug:  "a product that exists does not get the past prices of its new SKU",
		file: "eventlog/settle.go", old: "!p.Exists() || key != catalog.SKUKey(p.SKU) {", new: "!p.Exists() {",
		pkg: "./engine/sqlite", test: "TestStore",
	},
	{
		bug:  "a void price leaves a gap instead of the price before it",
		file: "prices.go", old: "			next[last].Until = p.Until\n", new: "",
		pkg: ".", test: "TestVoidPrice",
	},
	{
		bug:  "a profile shows the secrets of the command line",
		file: "internal/daemon/admin.go", old: "cmdline(os.Args)", new: "pprof.Cmdline",
		pkg: "./internal/daemon", test: "TestAdmin_commandLine",
	},
	{
		bug:  "readers trust the leases of a restarted Redis",
		file: "engine/redis/cache.go", old: "return time.Since(time.Unix(0, c.dialed.Load())) >= leaseTTL", new: "return true",
		pkg: "./engine/redis", test: "TestLease_restart",
	},
	{
		bug:  "the next page of a corrected text is not corrected",
		file: "internal/textsearch/search.go", old: "r.Plan = r.Plan.Widen(r.After.Widened)", new: "",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "a frequent word of a partial match counts as much as a rare one",
		file: "internal/textsearch/search.go", old: "rarityBoost * bits.Len64(uint64(most/counts[i]))", new: "rarityBoost + 0*bits.Len64(uint64(most))",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "misspelt words match beside exact ones",
		file: "internal/textsearch/search.go", old: "	set := related\n", new: "	set := related | (1<<len(r.Plan.Words) - 1)\n",
		pkg: "./engine/bleve", test: "TestIndex_relevance",
	},
	{
		bug:  "a decimal comma divides a number",
		file: "internal/textsearch/tokenize.go", old: "case (r == '.' || r == ',') && isDecimalPoint(text, end):", new: "case r == '.' && isDecimalPoint(text, end):",
		pkg: "./engine/bleve", test: "TestIndex_relevance",
	},
	{
		bug:  "the markup of descriptions is searched",
		file: "internal/textsearch/fields.go", old: "description := PlainText(p.Description)", new: "description := p.Description",
		pkg: "./engine/bleve", test: "TestIndex_relevance",
	},
	{
		bug:  "the near cache stores an old response of the reader",
		file: "gateway/near_cache.go", old: "case p != nil && alone && seq >= i.seq:", new: "case p != nil && alone:",
		pkg: "./gateway", test: "TestNearCache_lateRead",
	},
	{
		bug:  "a read does not wait for its position",
		file: "reader/projection/watermarks.go", old: "	if ok, _ := w.reached(p); ok {\n", new: "	if true {\n",
		pkg: "./reader", test: "TestPositions",
	},
	{
		bug:  "a page starts with the last product of the previous page",
		file: "engine/bleve/sort.go", old: "return order, nil\n}\n\n// compareKeys", new: "return order | 1, nil\n}\n\n// compareKeys",
		pkg: "./engine/bleve", test: "Test.*",
	},
	{
		bug:  "products late in the sort order are not found",
		file: "engine/bleve/collect.go", old: "roaring.FastOr(offered...)), nil", new: "roaring.FastOr(append(offered, products)...)), nil",
		pkg: "./engine/bleve", test: "Test.*",
	},
	{
		bug:  "with equal scores, a page of many ends too early",
		file: "engine/bleve/collect.go", old: "if r <= lowest || len(first)", new: "if r < lowest || len(first)",
		pkg: "./engine/bleve", test: "Test.*",
	},
	{
		bug:  "a query counts by all fields, whatever facets it asks for",
		file: "internal/textsearch/facets.go", old: "range q.Facets {", new: "range catalog.FacetFields()[:4*min(1, len(q.Facets))] {",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "facet values that differ in case are counted apart",
		file: "internal/spelling/spelling.go", old: "strings.Fields(strings.ToLower(key))", new: "strings.Fields(key)",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "a product with two spellings of a tag counts twice",
		file: "internal/textsearch/facets.go", old: "key != \"\" && !slices.Contains(keys, key)", new: "key != \"\" && !slices.Contains(keys, v)",
		pkg: "./internal/textsearch", test: "TestFieldsOf_facets",
	},
	{
		bug:  "a facet value is shown in its last spelling",
		file: "engine/bleve/facets.go", old: "if n > most {", new: "if n > most || most > 0 {",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "the columns of facets grow beyond their memory",
		file: "engine/bleve/columns.go", old: "full && len(c.byKey) > 1;", new: "full && len(c.byKey) < 1;",
		pkg: "./engine/bleve", test: "TestColumns_manyValues",
	},
	{
		bug:  "a facet without a column counts all products",
		file: "engine/bleve/facets.go", old: "set.AndCardinality(products); n > 0", new: "set.GetCardinality(); n > 0",
		pkg: "./engine/bleve", test: "TestColumns_manyValues",
	},
	{
		bug:  "facets count only the first tag of a product",
		file: "engine/bleve/facets.go", old: "a.elements[starts[product]:starts[product+1]]", new: "a.elements[starts[product]:starts[product]+1]",
		pkg: "./engine/bleve", test: "TestSearch_reference",
	},
	{
		bug:  "a caller that waits for a position in the index waits for the next regular write",
		file: "reader/projection/watermarks.go", old: "for !w.callerWaits() {", new: "for {",
		pkg: "./reader/indexer", test: "TestIndexer",
	},
	{
		bug:  "a search adds to scores of the one before",
		file: "engine/bleve/match.go", old: "onlyMatching = false", new: "onlyMatching = true",
		pkg: "./engine/bleve", test: "TestSearch_reference",
	},
	{
		bug:  "the names of removed attributes are not checked",
		file: "validate.go", old: "	p.validateRemovals(r)\n", new: "",
		pkg: "./internal/wire", test: "TestParsePatch_removals",
	},
	{
		bug:  "a list of wrong fields has no limit",
		file: "errors.go", old: "return len(r.Fields) >= MaxFieldErrors", new: "return false",
		pkg: "./internal/wire", test: "TestParseProductData",
	},
	{
		bug:  "a price without an amount is zero",
		file: "internal/wire/parse.go", old: "case currency && !amount:", new: "case false:",
		pkg: "./internal/wire", test: "TestParseProductData",
	},
	{
		bug:  "a name that one cannot see is stored",
		file: "internal/wire/parse.go", old: "*s != \"\" && onlyInvisible(n)", new: "*s != \"\" && n == \"\"",
		pkg: "./internal/wire", test: "TestNormalizeText",
	},
	{
		bug:  "a change feed compares categories as they are written",
		file: "internal/changefeed/changefeed.go", old: "Filter{product, spelling.Key(category)}", new: "Filter{product, category}",
		pkg: "./internal/changefeed", test: "TestFilter",
	},
	{
		bug:  "a condition that the operation does not know is ignored",
		file: "gateway/openapi_validate.go", old: "			refuseConditions(r.Header, params, refusal)\n", new: "",
		pkg: "./gateway", test: "TestHeaders",
	},
	{
		bug:  "only the first line of a list of ETags counts",
		file: "gateway/openapi_validate.go", old: "h.Set(name, strings.Join(values, \", \"))", new: "h.Set(name, values[0])",
		pkg: "./gateway", test: "TestHeaders",
	},
	{
		bug:  "half of a surrogate pair is stored as another character",
		file: "internal/wire/parse.go", old: "at := loneSurrogate(body); at >= 0", new: "at := loneSurrogate(body); at > len(body)",
		pkg: "./internal/wire", test: "TestParseProductData",
	},
	{
		bug:  "a command that is too large is sent",
		file: "engine/kafka/producer.go", old: "size > wire.MaxRecord", new: "size < 0",
		pkg: "./engine/kafka", test: "TestSendCommands_size",
	},
	{
		bug:  "a record that is too large counts as a failure of the log",
		file: "engine/kafka/errors.go", old: "{kerr.MessageTooLarge, catalog.ErrTooLarge}", new: "{kerr.MessageTooLarge, catalog.ErrOutcomeUnknown}",
		pkg: "./engine/kafka", test: "TestSendError",
	},
	{
		bug:  "requests open a breaker, without a probe",
		file: "internal/breaker/breaker.go", old: "if outcomeOf(probe(ctx)) == Failed {", new: "if probe(ctx); true {",
		pkg: "./internal/rpc", test: "TestBalancer_slowCalls",
	},
	{
		bug:  "blank lines give an import more time",
		file: "gateway/import_lines.go", old: "	l := &importLine{}\n	for {\n", new: "	l := &importLine{}\n	r.setDeadline(time.Now())\n	for {\n",
		pkg: "./gateway", test: "TestImport_lateBody",
	},
	{
		bug:  "an import with a late body ends with an internal error",
		file: "gateway/bulk_import.go", old: "		if err != nil && ctx.Err() != nil { // net/http", new: "		if err == nil && ctx.Err() != nil { // net/http",
		pkg: "./gateway", test: "TestImport_lateBody",
	},
	{
		bug:  "an empty If-Match is no condition",
		file: "api/openapi.yaml", old: ")*)[ ,]*$' }", new: ")*)?[ ,]*$' }",
		pkg: "./gateway", test: "TestCondition_empty",
	},
	{
		bug:  "the body of a refused request is not drained",
		file: "gateway/request.go", old: "	_, _ = io.CopyN(io.Discard, b, maxDrain)\n", new: "",
		pkg: "./gateway", test: "TestBody_tooLarge",
	},
	{
		bug:  "a key depends on how the id in the path is written",
		file: "gateway/write.go", old: "path = strings.Replace(path, \":id\", id.String(), 1)", new: "path, _ = c.Request().URL.Path, id",
		pkg: "./gateway", test: "TestIdempotencyKey_canonicalID",
	},
	{
		bug:  "a product that is read often is not read again before its entry expires",
		file: "gateway/read.go", old: "	if refresh {\n", new: "	if refresh && p.version == 0 {\n",
		pkg: "./gateway", test: "TestNearCache_readAhead",
	},
	{
		bug:  "a reader that is behind replaces a newer entry of the near cache",
		file: "gateway/near_cache.go", old: "case p != nil && ok && p.version < old.Value.version && w.fresh", new: "case p != nil && ok && p.version < 0 && w.fresh",
		pkg: "./gateway", test: "TestNearCache_refresh",
	},
	{
		bug:  "lists and suggestions have one share",
		file: "gateway/search.go", old: "g.shareFor(g.shares.lists, at...)", new: "g.shareFor(g.shares.suggest, at...)",
		pkg: "./gateway", test: "TestShares_apart",
	},
	{
		bug:  "the configured number of queries at once is ignored",
		file: "gateway/gateway.go", old: "newShares(cfg, d.Metrics)", new: "newShares(Config{MaxConcurrentWrites: 1, MaxConcurrentQueries: defaultMaxQueries, MaxConcurrentWindows: defaultMaxWindows}, d.Metrics)",
		pkg: "./gateway", test: "TestShares_limits",
	},
	{
		bug:  "a read that waits for a position takes the slot of other reads",
		file: "gateway/read.go", old: "return g.shares.positions", new: "continue",
		pkg: "./gateway", test: "TestPosition_unreached",
	},
	{
		bug:  "a page of another site writes",
		file: "gateway/protect.go", old: "err := crossOrigin.Check(r); err != nil", new: "err := crossOrigin.Check(r); err != nil && r.Method == \"TRACE\"",
		pkg: "./gateway", test: "TestProtect",
	},
	{
		bug:  "a page of a name that was bound to the address of the gateway reads it",
		file: "gateway/protect.go", old: "if !g.allowHost(r.Host) {", new: "if !g.allowHost(r.Host) && r.Method == \"TRACE\" {",
		pkg: "./gateway", test: "TestProtect",
	},
	{
		bug:  "data and exports are readable for all users of the machine",
		file: "internal/daemon/private_unix.go", old: "syscall.Umask(0o077)", new: "syscall.Umask(0o022)",
		pkg: "./internal/daemon", test: "TestPrivateFiles",
	},
	{
		bug:  "a spreadsheet runs a cell as a formula",
		file: "internal/productfile/write.go", old: "if w.NeutralizeFormulas && c != \"\" && strings.ContainsRune(\"=+-@\\t\\r\"", new: "if w.NeutralizeFormulas && c != \"\" && strings.ContainsRune(\"=\"",
		pkg: "./internal/productfile", test: "TestWriter_formulas",
	},
	{
		bug:  "cached products survive that their shard was not followed",
		file: "gateway/near_cache.go", old: "return p.began == w.began.Load() && p.seq", new: "return p.seq",
		pkg: "./gateway", test: "TestNearCache",
	},
	{
		bug:  "a key of another request returns the other result",
		file: "gateway/write.go", old: "e.Fingerprint != fingerprint", new: "false",
		pkg: "./gateway", test: "Test.*",
	},
	{
		bug:  "batched reads return each other's products",
		file: "gateway/read_batcher.go", old: "encoded: results[i].GetProduct()", new: "encoded: results[len(batch)-1-i].GetProduct()",
		pkg: "./gateway", test: "TestReadBatcher",
	},
	{
		bug:  "the near cache keeps a changed product",
		file: "gateway/near_cache.go", old: "				n.products.Invalidate(e.Product.ID)\n", new: "",
		pkg: "./gateway", test: "Test.*",
	},
	{
		bug:  "the first words of a text use up the terms of the last",
		file: "engine/bleve/search.go", old: "share := left / termBudget(len(plan.Words)-i)", new: "share := left / termBudget(1+0*i)",
		pkg: "./engine/bleve", test: "TestSearch_termLimit",
	},
	{
		bug:  "a search has no time limit",
		file: "reader/queries.go", old: "result, err = query(queryCtx)", new: "result, err = query(context.WithoutCancel(queryCtx))",
		pkg: "./reader", test: "TestSearch_timeout",
	},
	{
		bug:  "didYouMean offers a text that finds nothing",
		file: "engine/bleve/did_you_mean.go", old: "if err != nil || len(page.Items) == 0 {", new: "if err != nil || page.Total < 0 {",
		pkg: "./engine/bleve", test: "TestDidYouMean",
	},
	{
		bug:  "a full disk does not reject writes",
		file: "internal/engines/disk.go", old: "free < minFree", new: "free < 0",
		pkg: "./internal/engines", test: "TestRoom",
	},
	{
		bug:  "the gateway accepts commands that no disk has room for",
		file: "gateway/write.go", old: "if err := g.room(ctx); err != nil {", new: "if err := g.room(ctx); err != nil && false {",
		pkg: "./gateway", test: "TestWrite_fullDisk",
	},
	{
		bug:  "a PostgreSQL without space is reported as ready",
		file: "engine/postgres/full_disk.go", old: "f.at.Store(now.UnixNano())", new: "_ = now",
		pkg: "./engine/postgres", test: "TestFullDisk",
	},
	{
		bug:  "chaos forgives the loss of commands sent after Kafka lost records",
		file: "test/chaos/check.go", old: "cmd.SentAt.Before(t.At)", new: "true",
		pkg: "./test/chaos", test: "TestCheck_truncation",
	},
	{
		bug:  "bench-compare names changes within the spread of the rounds",
		file: "test/bench/compare.go", old: "max(before.spread(), after.spread())", new: "min(before.spread(), after.spread())",
		pkg: "./test/bench", test: "TestCompare",
	},
	{
		bug:  "an index that is not whole is used",
		file: "engine/bleve/bleve.go", old: "if err == nil && got != want {", new: "if err == nil && got != want && false {",
		pkg: "./engine/bleve", test: "TestOpen",
	},
	{
		bug:  "the index switches before the new one is on disk",
		file: "engine/bleve/generations.go", old: "	if err := g.standby.sync(ctx); err != nil {\n		return err\n	}\n	failpoint.Here(failpoint.ReaderRebuilding)\n", new: "	failpoint.Here(failpoint.ReaderRebuilding)\n",
		pkg: "./engine/bleve", test: "TestGenerations_crash",
	},
	{
		bug:  "a deletion does not change the contents of a checkpoint",
		file: "eventlog/checkpoint.go", old: "e.Outcome == catalog.Changed || e.Outcome == catalog.Deleted {\n			c.Products--", new: "e.Outcome == catalog.Changed {\n			c.Products--",
		pkg: "./eventlog", test: "TestContents",
	},
	{
		bug:  "the contents of a shard count as known before the events have reached the end of its snapshot",
		file: "reader/projection/snapshot.go", old: "case to.Seq+1 < s.next:", new: "case to.Seq < 0:",
		pkg: "./reader/projection", test: "TestEventConsumer_contents",
	},
	{
		bug:  "lists are served from an index that is being filled",
		file: "reader/queries.go", old: "if err := r.readiness.checkIndex(ctx); err != nil {", new: "if err := r.readiness.checkIndex(ctx); err != nil && false {",
		pkg: "./reader", test: "TestReadiness",
	},
	{
		bug:  "a server that is not ready gets calls",
		file: "internal/rpc/rpc.go", old: "	s.health.SetServingStatus(\"\", healthpb.HealthCheckResponse_NOT_SERVING)\n", new: "",
		pkg: "./internal/rpc", test: "TestServer_servesWhenReady",
	},
	{
		bug:  "a page has as many of the largest products as its limit says",
		file: "engine/bleve/collect.go", old: "if i == c.limit || bytes >= catalog.MaxPageBytes {", new: "if i == c.limit {",
		pkg: "./engine/bleve", test: "TestIndex_inMemory",
	},
	{
		bug:  "change streams read the journal on all CPUs",
		file: "internal/changefeed/changefeed.go", old: "min(8, cpu.ButOne())", new: "min(8, 2*cpu.Count())",
		pkg: "./internal/changefeed", test: "TestSubscriber_readers",
	},
	{
		bug:  "a page of the change feed has events of any size",
		file: "internal/changefeed/subscriber.go", old: "size >= pageBytes {", new: "size < 0 {",
		pkg: "./internal/changefeed", test: "TestSubscriber_largeEvents",
	},
	{
		bug:  "suggestions wait behind all searches",
		file: "engine/bleve/slots.go", old: "kind := (s.last + 1 + i) % slotKinds", new: "kind := i",
		pkg: "./engine/bleve", test: "TestSlots",
	},
	{
		bug:  "a service that starts while an engine is away ends",
		file: "internal/engines/engines.go", old: "if err == nil || !s.Wait || !away {", new: "if err == nil || !s.Wait || !away || true {",
		pkg: "./internal/engines", test: "TestRetry",
	},
	{
		bug:  "each gateway lets one command a second through to a backlog that is too old",
		file: "gateway/backlog.go", old: "	case w.end == w.base || now.Sub(w.grown) >= probeRepeat:\n", new: "	default:\n",
		pkg: "./gateway", test: "TestBacklog_probes",
	},
	{
		bug:  "a client that leaves counts as a failure of the gateway",
		file: "gateway/middleware.go", old: "		if status >= http.StatusInternalServerError && r.Context().Err() != nil {\n", new: "		if false {\n",
		pkg: "./gateway", test: "TestClientLeaves",
	},
	{
		bug:  "an entry that cannot be read makes the cache count as failed",
		file: "reader/cache.go", old: "	if bypass {\n", new: "	if true {\n",
		pkg: "./reader", test: "TestCache",
	},
	{
		bug:  "a Redis that refuses writes counts as available",
		file: "engine/redis/errors.go", old: "	\"READONLY\", \"NOREPLICAS\", \"OOM\", \"MISCONF\", ", new: "	",
		pkg: "./engine/redis", test: "TestMarkUnavailable",
	},
	{
		bug:  "a client that leaves in the middle of a file gets a second response",
		file: "gateway/docs.go", old: "		s.OnError = func(http.ResponseWriter, *http.Request, error) {}\n", new: "",
		pkg: "./gateway", test: "TestClientLeaves_response",
	},
	{
		bug:  "a caller that leaves makes the cache count as failed",
		file: "reader/cache.go", old: "	if caller.Err() != nil {\n", new: "	if false {\n",
		pkg: "./reader", test: "TestCache",
	},
	{
		bug:  "any number of products is read at once",
		file: "reader/loader.go", old: "make(chan struct{}, maxLoads)", new: "make(chan struct{}, 1000*maxLoads)",
		pkg: "./reader", test: "TestLoader",
	},
	{
		bug:  "the results of any number of searches are held in memory",
		file: "reader/queries.go", old: "r.results.Acquire(queryCtx, catalog.MaxPageBytes)", new: "r.results.Acquire(queryCtx, 0)",
		pkg: "./reader", test: "TestSearch_resultsInMemory",
	},
	{
		bug:  "a mistake in a query makes OpenSearch count as failed",
		file: "engine/opensearch/client.go", old: "	if e.status >= 500 || e.status == http.StatusTooManyRequests {\n", new: "	if e.status >= 400 {\n",
		pkg: "./engine/opensearch", test: "TestErrors",
	},
	{
		bug:  "a price with two readings is guessed",
		file: "internal/productfile/price.go", old: "	if len(fraction) == 3 && len(whole) <= 3 && ", new: "	if false && ",
		pkg: "./internal/productfile", test: "TestPrices",
	},
	{
		bug:  "the variants of a product have the SKU of their product",
		file: "internal/productfile/row.go", old: "text != \"\" && c.text != \"\"", new: "false",
		pkg: "./internal/productfile", test: "TestPreset",
	},
	{
		bug:  "text of Eastern Europe is read as that of Western languages",
		file: "internal/productfile/encoding.go", old: " && eastern*8 <= high", new: "",
		pkg: "./internal/productfile", test: "TestFiles",
	},
	{
		bug:  "JSON with half of a surrogate pair is repaired with U+FFFD",
		file: "internal/productfile/row.go", old: "check := wire.CheckObject", new: "check := func([]byte) error { return nil }",
		pkg: "./internal/productfile", test: "TestFiles",
	},
	{
		bug:  "an export does not escape the separator of lists",
		file: "internal/productfile/write.go", old: "escaped[i] = escapeEntry.Replace(e)", new: "escaped[i] = e",
		pkg: "./internal/productfile", test: "TestRoundTrip",
	},
	{
		bug:  "a cell whose quotes do not end takes the rows behind it",
		file: "internal/productfile/csv.go", old: "split.inQuotes || size > r.maxRow || split.tolerant && len(lines) > 1", new: "size > r.maxRow",
		pkg: "./internal/productfile", test: "TestReadCSV_cells",
	},
	{
		bug:  "a row without its last cells is refused",
		file: "internal/productfile/csv.go", old: "n > 1 || !strings.ContainsAny(", new: "false && !strings.ContainsAny(",
		pkg: "./internal/productfile", test: "TestReadCSV_cells",
	},
	{
		bug:  "products on one line of a JSON file are one product",
		file: "internal/productfile/file.go", old: "last != r.Number", new: "last != r.Line",
		pkg: "./internal/productfile", test: "TestFile",
	},
	{
		bug:  "what an earlier try of an import created counts as unchanged",
		file: "gateway/bulk_import.go", old: "r.id, r.derived = productID(key, sku), key != \"\"", new: "r.id, r.derived = newID(), key != \"\"",
		pkg: "./gateway", test: "TestImport",
	},
	{
		bug:  "the results behind a pending row are lost",
		file: "client/bulk_import.go", old: "pending = &interruptedError{error: errors.New(\"rows are not settled yet\")}", new: "return &interruptedError{error: errors.New(\"rows are not settled yet\")}",
		pkg: "./client", test: "TestImport_pending",
	},
	{
		bug:  "-long cut makes one SKU of two",
		file: "internal/productfile/row.go", old: "		long.All = LongRefuse\n", new: "",
		pkg: "./internal/productfile", test: "TestRows",
	},
	{
		bug:  "a JSON list that was cut off counts as complete",
		file: "internal/productfile/json.go", old: "errors.Is(err, io.EOF) && r.list {", new: "false {",
		pkg: "./internal/productfile", test: "TestFiles",
	},
	{
		bug:  "the lines of a cell whose quotes do not end are rows of products",
		file: "internal/productfile/csv.go", old: "case n < r.columns && !again && ", new: "case n < r.columns && (again || !again) && ",
		pkg: "./internal/productfile", test: "TestReadCSV_cells",
	},
	{
		bug:  "of two columns with the same name, the first is read",
		file: "internal/productfile/mapping.go", old: "slices.Index(header[i+1:], header[i]) >= 0 && ", new: "false && ",
		pkg: "./internal/productfile", test: "TestReadCSV_columns",
	},
	{
		bug:  "the results of a JSON list on one line all have line 1",
		file: "gateway/import_file.go", old: "cmp.Or(row.Entry, row.Line)", new: "cmp.Or(0, row.Line)",
		pkg: "./gateway", test: "TestImport_file",
	},
	{
		bug:  "the variations of a product that is not published are imported",
		file: "internal/productfile/parents.go", old: "	return cells, parent.skipped\n", new: "	return cells, \"\"\n",
		pkg: "./internal/productfile", test: "TestPreset",
	},
	{
		bug:  "composed and decomposed letters are two SKUs",
		file: "internal/wire/normalize.go", old: "	return norm.NFC.String(s)\n", new: "	_ = norm.NFC\n	return s\n",
		pkg: "./internal/wire", test: "TestNormalizeText",
	},
	{
		bug:  "an import that resumes leaves out rows that were not settled",
		file: "cmd/catalog/import_checkpoint.go", old: "		b, ok := c.ended[c.next]\n", new: "		b, ok := c.ended[batch]\n		c.next = batch\n",
		pkg: "./cmd/catalog", test: "TestCheckpoint",
	},
	{
		bug:  "a row of a file that is not a product counts as accepted, so that a file of such rows never ends",
		file: "gateway/bulk_import.go", old: "if i.refused++; r.valid() &&", new: "if i.refused++; r.problem == nil &&",
		pkg: "./gateway", test: "TestImport_file",
	},
	{
		bug:  "an import that resumes writes the file of refused rows from its start",
		file: "cmd/catalog/import_checkpoint.go", old: "if c.state.Rejects, err = c.rejects.Flush(); err != nil {", new: "if _, err = c.rejects.Flush(); err != nil {",
		pkg: "./cmd/catalog", test: "TestCheckpoint",
	},
	{
		bug:  "an import whose body has arrived ends when its rows take long",
		file: "gateway/request.go", old: "if b != nil && !b.whole.Load() {", new: "if b != nil {",
		pkg: "./gateway", test: "TestImport_lateBody",
	},
	{
		bug:  "a list that is cut off ends like a whole one",
		file: "gateway/import_lines.go", old: "err = catalog.Invalid(\"body\", \"is cut off: the list does not end\")", new: "err = io.EOF",
		pkg: "./gateway", test: "TestImport",
	},
	{
		bug:  "each fetch names all partitions",
		file: "engine/kafka/fetcher.go", old: "kgo.FetchMinBytes(1), ", new: "kgo.FetchMinBytes(1), kgo.DisableFetchSessions(), ",
		pkg: "./engine/kafka", test: "TestFetcher_session",
	},
	{
		bug:  "a fetch starts while the client ends its fetch sessions",
		file: "engine/kafka/fetcher.go", old: "slices.Collect(maps.Keys(f.buffers))", new: "slices.Collect(maps.Keys(f.buffers))[:0]",
		pkg: "./engine/kafka", test: "TestFetcher_session",
	},
	{
		bug:  "a connection that the client ends counts as a broken one",
		file: "engine/kafka/fetcher.go", old: "if broken && !configured && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {", new: "if broken || configured || err != nil {",
		pkg: "./engine/kafka", test: "TestFetcher_reconnected",
	},
	{
		bug:  "a broken connection is not noticed",
		file: "engine/kafka/fetcher.go", old: "h.f.broken.Add(1)", new: "h.f.broken.Add(0)",
		pkg: "./engine/kafka", test: "TestFetcher_reconnected",
	},
}
