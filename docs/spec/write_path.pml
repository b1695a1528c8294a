/*
 * The write path of one shard: commands topic, writers, store, events topic, readers and view.
 *
 * Two writers and two readers share the shard. FAULTS faults happen at any moment, in any
 * combination: a process crashes between two steps; the shard moves to the other process while the
 * former owner goes on (it was frozen, and wakes up); a commit has no response and is executed late
 * or never; a publish fails; the commands topic (TRUNCATE) or the events topic (TRUNCATE_EVENTS)
 * loses its last records and grows again.
 *
 * The assertions hold at every step. Faults and commands are limited, so every run comes to rest;
 * then Monitor checks that nothing is lost. README.md maps the steps to Go functions and lists the
 * planted bugs (BUG_...), each of which must violate an assertion.
 */
#ifndef N
#define N 2 /* number of commands */
#endif
#ifndef LATER
#define LATER 0 /* commands that are sent while the system runs; the others are in the topic at the start */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef PRODUCTS
#define PRODUCTS 2
#endif
#define RECORDS (N + 1) /* records of the commands topic: one command may be sent twice */
#define EVENTS 12       /* records of the events topic, duplicates included */

#define BIT(i) (1 << (i))
#define PRODUCT(seq) (journal[seq] % PRODUCTS)

/* The shard's partition of the commands topic. */
byte c_id[RECORDS];     /* command of a record */
byte c_leader[RECORDS]; /* leader epoch of a record */
byte c_end;
byte leader = 1;
byte sent; /* commands 1 to sent are accepted, in this order */
byte lost; /* commands that the topic has lost, as bits */

/* The shard's partition of the events topic, whose records hold a seq. */
byte e_seq[EVENTS];
byte e_end;

/* The processes to which the consumer groups assign the shard. */
byte w_owner, r_owner;

/* PostgreSQL: the row of the shard, and its journal by seq. */
byte st_epoch, st_offset, st_leader, st_next = 1, st_published;
bool st_stopped;
byte journal[N + 2];

/* Transactions without a response, executed late or never. */
typedef Batch { byte epoch, from, to, next, published, leader, n, id[2] };
Batch late[2];

/* MongoDB: the version of each product (the seq of its event), and the checkpoint. */
byte v_version[2], v_seq, v_offset;

bool reconnected[2]; /* the connection of a reader to the brokers has ended */

byte faults = FAULTS;
bool w_crash[2], r_crash[2];

/* lossRecorder: the topic still has the record before the offset, from the same leader epoch. */
#ifdef BUG_OFFSET_ONLY
#define VALID(offset, epoch) (offset <= c_end)
#else
#define VALID(offset, epoch) (offset == 0 || (offset <= c_end && c_leader[offset - 1] == epoch))
#endif

/* Store.Settle compares the row of the shard with the batch. */
#if defined(BUG_NO_FENCE)
#define FENCED(b) (false)
#elif defined(BUG_NO_OFFSET)
#define FENCED(b) (st_epoch != b.epoch)
#else
#define FENCED(b) (st_epoch != b.epoch || st_offset != b.from || st_next != b.next || st_stopped)
#endif

inline isSettled(command) {
	j = 1;
	do
	:: j < st_next && journal[j] != command -> j++
	:: else -> break
	od
}

/* The transaction of Store.Settle: it moves the row of the shard, or changes nothing. */
inline commit(b) {
	st_next = b.next;
	i = 0;
	do
	:: i < b.n ->
		isSettled(b.id[i]);
		if
#ifndef BUG_NO_JOURNAL_LOOKUP
		:: j < st_next -> skip /* the command was settled before */
#endif
		:: else ->
			assert(j == st_next);          /* once: a command has one event */
			assert(journal[st_next] == 0); /* once: a seq is used for one event */
			journal[st_next] = b.id[i];
			st_next++
		fi;
		i++
	:: else -> break
	od;
	st_offset = b.to; st_leader = b.leader;
	if :: b.published > st_published -> st_published = b.published :: else fi;
	i = 0; j = 0
}

inline clear(b) {
	b.epoch = 0; b.from = 0; b.to = 0; b.next = 0; b.published = 0; b.leader = 0; b.n = 0; b.id[0] = 0; b.id[1] = 0
}

/* Log.PublishEvents, one record */
inline append(seq) {
	assert(seq < st_next); /* no event without its commit */
	assert(e_end < EVENTS);
	e_seq[e_end] = seq;
	e_end++
}

inline forget() { epoch = 0; offset = 0; lead = 0; next = 0; publish = 0; failed = false; end = 0; clear(b) }

/* partitionWorker.session with Writer.Begin and Writer.Handle */
proctype Writer(byte me) {
	byte epoch, offset, lead, next; /* ownedShard.state */
	byte publish;                   /* publisher.seq + 1 */
	byte resume;                    /* Writer.resume: what to publish after a failure */
	bool failed;                    /* publisher.failure */
	byte end;                       /* Log.eventEnds */
	byte i, j;
	Batch b;
restart: {
		skip;
begin:
end_stopped:	(w_owner == me && !st_stopped);
		/* Begin: Store.Claim */
		atomic { st_epoch++; epoch = st_epoch; offset = st_offset; lead = st_leader; next = st_next };
		/* Begin: Log.LastSeq */
		atomic {
			publish = 1 + (e_end > 0 -> e_seq[e_end - 1] : (st_published + 1 < st_next || st_next == 1 -> st_published : st_next - 2));
			end = e_end;
			if :: resume != 0 -> publish = resume :: else fi;
#ifdef BUG_NO_REPUBLISH
			publish = next
#endif
		};
		/* Begin: publishMissing */
		do
		:: publish < next -> atomic { append(publish); publish++; end = e_end }
		:: else -> publish = next; resume = 0; break
		od;
end_idle:	do
		/* End: the group has revoked the shard. A frozen process learns it late. */
		:: w_owner != me && b.n == 0 -> break
		/* Check, of an idle shard */
		:: b.n == 0 && offset == c_end && st_epoch != epoch -> break
#ifndef BUG_END_NOT_COMPARED
		:: b.n == 0 && offset == c_end && e_end < end -> break
#endif
		/* publishEvents and onPublished */
		:: publish < next && !failed ->
			if
			:: atomic { append(publish); publish++; end = e_end }
			:: atomic { faults > 0 -> faults--; failed = true }
			:: atomic { faults > 0 && publish + 1 < next -> faults--; failed = true; append(publish + 1); end = e_end }
			fi
		:: failed -> resume = publish; break
		/* RecordsLost: Store.StopShard */
		:: b.n == 0 && !VALID(offset, lead) ->
#if defined(BUG_SILENT_STOP)
			(st_epoch != epoch);
#elif defined(BUG_STOP_HEALS)
end_heals:		(st_epoch != epoch || offset <= c_end);
			lead = (offset == 0 -> 0 : c_leader[offset - 1]);
			atomic { if :: st_epoch == epoch -> st_leader = lead :: else fi };
#else
			atomic { if :: st_epoch == epoch -> st_stopped = true; st_epoch++ :: else fi };
#endif
			break
		/* take: a batch of one or two records */
		:: atomic { b.n == 0 && offset < c_end && VALID(offset, lead) ->
				b.epoch = epoch; b.from = offset; b.next = next; b.published = publish - 1;
				b.to = offset + 1; b.leader = c_leader[offset]; b.n = 1; b.id[0] = c_id[offset];
				if
				:: offset + 1 < c_end -> b.to = offset + 2; b.leader = c_leader[offset + 1]; b.n = 2; b.id[1] = c_id[offset + 1]
				:: true
				fi
			}
		/* Handle: Store.Settle */
		:: atomic { b.n > 0 && !FENCED(b) -> commit(b); next = st_next; offset = b.to; lead = b.leader; clear(b) }
#ifdef BUG_PUBLISH_FIRST
		:: atomic { b.n > 0 -> append(b.next) }
#endif
		:: b.n > 0 && FENCED(b) -> break
		/* Handle: no response to the commit; State tells whether it was executed */
		:: atomic { b.n > 0 && faults > 0 && late[me].n == 0 -> faults--;
				late[me].epoch = b.epoch; late[me].from = b.from; late[me].to = b.to; late[me].next = b.next;
				late[me].published = b.published; late[me].leader = b.leader; late[me].n = b.n;
				late[me].id[0] = b.id[0]; late[me].id[1] = b.id[1]
			};
			if
			:: st_epoch != epoch -> break
			:: st_epoch == epoch && st_offset != b.to -> skip /* not executed: Handle is called again */
			:: atomic { st_epoch == epoch && st_offset == b.to -> next = st_next; offset = b.to; lead = b.leader; clear(b) }
			fi
		od;
		atomic { forget() };
		goto begin
	} unless {
		w_crash[me] -> atomic { w_crash[me] = false; forget(); resume = 0; i = 0; j = 0 }
	};
	goto restart
}

/* PostgreSQL executes a transaction late, or rolls it back. */
proctype Late() {
	byte i, j;
end:	do
	:: atomic { late[0].n > 0 -> if :: !FENCED(late[0]) -> commit(late[0]) :: true fi; clear(late[0]) }
	:: atomic { late[1].n > 0 -> if :: !FENCED(late[1]) -> commit(late[1]) :: true fi; clear(late[1]) }
	od
}

/* A read that waits for a position up to the checkpoint sees every event up to it. */
inline checkPositions() {
	k = 1;
	do
	:: k <= v_seq -> assert(v_version[PRODUCT(k)] >= k); k++
	:: else -> break
	od;
	k = 0
}

/* View.Apply, of the event seq */
inline apply(seq) {
	if
	:: v_version[PRODUCT(seq)] < seq -> v_version[PRODUCT(seq)] = seq
#ifdef BUG_OLDER_VERSION
	:: else -> v_version[PRODUCT(seq)] = seq
#else
	:: else
#endif
	fi;
	checkPositions()
}

/* View.SaveCheckpoint */
inline save(seq, offset) {
	if
	:: v_seq <= seq -> v_seq = seq; v_offset = offset
	:: else
	fi;
	checkPositions()
}

/* partitionWorker.session with EventConsumer.Begin and Handle, and Projector */
proctype Reader(byte me) {
	byte seq, offset; /* the checkpoint of this process */
	byte k;
restart: {
		skip;
begin:
end_idle:	(r_owner == me);
		/* Begin: View.Checkpoint */
		atomic { seq = v_seq; offset = v_offset };
		/* Begin: catchUp, of a topic that ends before the checkpoint */
		if
		:: offset > e_end ->
			do
			:: seq + 1 < st_next -> atomic { seq++; apply(seq) }; atomic { save(seq, offset) }
			:: else -> break
			od;
			offset = 0;
			atomic { save(seq, offset) }
		:: else
		fi;
#ifndef BUG_NO_REPEAT
		/* startFetch: with the last record before the offset */
fetch:		atomic { reconnected[me] = false; if :: offset > 0 -> offset-- :: else fi };
#endif
end_record:	do
		/* End: the group has revoked the shard. A frozen process learns it late. */
		:: r_owner != me -> break
#ifndef BUG_NO_REPEAT
		:: reconnected[me] -> goto fetch
#endif
		/* checkIdle: the topic ends before the checkpoint */
		:: offset > e_end -> break
		/* Handle: a duplicate */
		:: atomic { offset < e_end && e_seq[offset] <= seq -> offset++ }; atomic { save(seq, offset) }
#ifdef BUG_NO_GAP_FILL
		:: atomic { offset < e_end && e_seq[offset] > seq -> seq = e_seq[offset]; apply(seq); offset++ }; atomic { save(seq, offset) }
#elif defined(BUG_CHECKPOINT_FIRST)
		:: atomic { offset < e_end && e_seq[offset] == seq + 1 -> save(seq + 1, offset + 1) }; atomic { seq++; apply(seq); offset++ }
#else
		/* Handle: the next event */
		:: atomic { offset < e_end && e_seq[offset] == seq + 1 -> seq++; apply(seq); offset++ }; atomic { save(seq, offset) }
		/* replay: a missing event, from the journal */
		:: atomic { offset < e_end && e_seq[offset] > seq + 1 -> seq++; apply(seq) }; atomic { save(seq, offset) }
#endif
		od;
		atomic { seq = 0; offset = 0 };
		goto begin
	} unless {
		r_crash[me] -> atomic { r_crash[me] = false; seq = 0; offset = 0; k = 0 }
	};
	goto restart
}

inline send(command) { c_id[c_end] = command; c_leader[c_end] = leader; c_end++ }

/* Clients send the last commands. */
proctype Client() {
	do
	:: atomic { sent < N -> sent++; send(sent) }
	:: sent == N -> break
	od
}

/* The last n records of the commands topic are lost with all brokers that had them. */
inline truncate(n) {
	leader++;
	i = 0;
	do
	:: i < n -> i++; c_end--; lost = lost | BIT(c_id[c_end]); c_id[c_end] = 0; c_leader[c_end] = 0
	:: else -> break
	od
}

proctype Faults() {
	byte i;
	do
	:: atomic { faults > 0 -> faults--;
		if
		:: w_crash[0] = true
		:: w_crash[1] = true
		:: w_crash[w_owner] = true; w_owner = 1 - w_owner
		:: w_owner = 1 - w_owner
#ifndef ONE_READER
		:: r_crash[r_owner] = true
		:: r_crash[r_owner] = true; r_owner = 1 - r_owner
		:: r_owner = 1 - r_owner
#endif
#ifdef TRUNCATE
		:: leader == 1 && c_end > 0 -> truncate(1)
		:: leader == 1 && c_end > 1 -> truncate(2)
#endif
#ifdef TRUNCATE_EVENTS
		:: e_end > 0 -> e_end--; e_seq[e_end] = 0; reconnected[0] = true; reconnected[1] = true
#endif
		fi }
	:: atomic { true -> faults = 0; break }
	od
}

/* catalog repair, when a shard has stopped. Settled commands are not settled again. */
proctype Operator() {
end:	do
	:: atomic { st_stopped -> st_epoch++; st_offset = 0; st_leader = 0; st_stopped = false }
	od
}

/* At rest: every accepted command is settled in order, and the view has every event. */
proctype Monitor() {
	byte i, j;
	atomic {
		timeout;
		i = 1;
		do
		:: i <= N -> isSettled(i); assert(j < st_next || (lost & BIT(i))); i++ /* nothing is lost but what the topic has lost */
		:: else -> break
		od;
		i = 0;
		do
		:: i < c_end -> isSettled(c_id[i]); assert(j < st_next); i++ /* what the topic has is not skipped */
		:: else -> break
		od;
		i = 1;
		do
		:: i + 1 < st_next -> assert(journal[i] < journal[i + 1] || (lost & (BIT(journal[i]) | BIT(journal[i + 1])))); i++ /* in order */
		:: else -> break
		od;
		assert(v_seq == st_next - 1) /* the view has every event */
	}
}

init {
	bool repeated;
	atomic {
		do
		:: sent < N - LATER -> sent++; send(sent)
		:: sent > 0 && !repeated -> send(sent); repeated = true
		:: sent > 1 && !repeated -> send(1); repeated = true
		:: sent == N - LATER -> break
		od;
		repeated = false;
		run Writer(0); run Writer(1); run Late(); run Reader(0);
#ifndef ONE_READER
		run Reader(1);
#endif
		run Client(); run Faults(); run Operator(); run Monitor()
	}
}
