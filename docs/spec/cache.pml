/*
 * The cache of one shard: two readers that hold its lease in turn, Redis, the view, and two readers
 * that look up and fill one product.
 *
 * The events 1 to EVENTS are the versions of the product. FAULTS faults happen at any moment, in any
 * combination: the shard moves to the other process while the former holder goes on; a holder
 * crashes; a call of Redis has no response and is executed late or never; Redis evicts the entry or
 * the lease; Redis restarts from an older snapshot, or a replica that lacks the last calls is
 * promoted (CLUSTER). A process that is slow or frozen is one that takes no step.
 *
 * Property: a lookup returns the version that the view had at some moment during the call. So a read
 * that waited for a position is never stale. README.md maps the steps to Go functions and lists the
 * planted bugs (BUG_...), each of which must violate the assertion.
 */
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef RENEWALS
#define RENEWALS 1 /* calls of RenewLeases */
#endif
#define TTL 1        /* leaseTTL in ticks; a tick ends what was sent before it */
#define CHANGING 255 /* revision of a bucket that is changing */
#define NONE 0

/* The events topic and the view. */
byte log_end, v_version;

/* The process to which the consumer group assigns the shard. */
byte owner_is;

/* Redis: the entry of the product; the lease of the shard, with the product's bucket; and its holder, which
   outlives the lease. */
typedef Entry { byte token, version };
typedef Lease { byte token, bucket, server, ttl; bool fillable };
typedef Owner { byte name, revision };
Entry entry, saved_entry;
Lease lease, saved_lease;
Owner holder, saved_holder;
byte server = 1; /* run id of the Redis process */
byte tokens;     /* tokens and names of owners made so far: each is new */
bool saved;

/* A call of extendScript; former is the holder from which it may take the lease. */
typedef Call { byte owner, former, token, revision, next, server, bucket, ttl; bool fillable, delete };
Call late[2];
hidden Call call; hidden byte reply; /* call in progress, and its reply */

/* lease.expires, of each holder; and the age of the readers' connections, for leasesTrusted */
byte expires[2], untrusted;

byte faults = FAULTS, renewals = RENEWALS;
bool crash[2];

#define LEASED (lease.ttl > 0)
#ifdef CLUSTER
#define TRUSTED (lease.server == server)
#else
#ifdef BUG_TRUST_RESTART
#define TRUSTED (true)
#else
#define TRUSTED (untrusted == 0)
#endif
#endif

inline noLease() { lease.token = 0; lease.bucket = 0; lease.server = 0; lease.ttl = 0; lease.fillable = false }

inline copyCall(to, from) {
	to.owner = from.owner; to.former = from.former; to.token = from.token; to.revision = from.revision; to.next = from.next;
	to.server = from.server; to.bucket = from.bucket; to.ttl = from.ttl; to.fillable = from.fillable; to.delete = from.delete
}
inline noCall(c) {
	c.owner = 0; c.former = 0; c.token = 0; c.revision = 0; c.next = 0; c.server = 0; c.bucket = 0; c.ttl = 0; c.fillable = false; c.delete = false
}

/* Another process has acquired the lease. */
#if defined(BUG_OWNER_EXPIRES)
#define TAKEN(c) (LEASED && holder.name != c.owner && holder.name != c.former)
#else
#define TAKEN(c) (holder.name != NONE && holder.name != c.owner && holder.name != c.former)
#endif
/* A later call of the same holder was executed before. */
#ifdef BUG_LATE_CALL
#define OUTDATED(c) (false)
#else
#define OUTDATED(c) (holder.name == c.owner && holder.revision >= c.next)
#endif
/* The lease is as the holder expects it. */
#define AS_EXPECTED(c) (LEASED && holder.name == c.owner && lease.token == c.token && holder.revision == c.revision && lease.server == server)

/* extendScript. reply is the token, or NONE when it has changed nothing. */
inline execute(c) {
	if
	:: server != c.server || TAKEN(c) || OUTDATED(c) -> reply = NONE
	:: else ->
		reply = c.token;
		if
		:: AS_EXPECTED(c)
		:: else -> tokens++; reply = tokens; noLease()
		fi;
		holder.name = c.owner; holder.revision = c.next;
		lease.token = reply; lease.fillable = c.fillable; lease.server = server; lease.ttl = c.ttl;
		if :: c.bucket != 0 -> lease.bucket = c.bucket :: else fi;
		if :: c.delete -> entry.token = NONE; entry.version = 0 :: else fi;
		if :: c.ttl == 0 -> noLease() :: else fi
	fi
}

/* Cache.extend, inside of atomic. result is OK, LOST when another process has the lease, or FAILED when
   the effect is unknown. settled: the change of the bucket has ended. invalidated: delete the entry. */
#define OK 1
#define LOST 2
#define FAILED 3
inline extend(settled, invalidated) {
	if :: token == NONE -> at = server; if :: acquire -> former = holder.name :: else fi :: else fi; /* a call that changes nothing */
	call.owner = owner; call.former = (acquire -> former : NONE); call.token = token; call.revision = revision; call.next = revision + 1;
	call.server = at; call.ttl = TTL; call.fillable = fillable; call.delete = invalidated;
	call.bucket = (changing -> CHANGING : (settled -> revision + 1 : 0));
	token = NONE; former = NONE; revision++; expires[me] = TTL;
	if
	:: call.server == server -> execute(call); token = reply; reply = NONE;
		if :: token == NONE -> result = LOST; lost = true :: else -> result = OK; acquire = false fi
	:: call.server != server -> result = FAILED
	:: faults > 0 && late[me].owner == 0 -> faults--; result = FAILED; copyCall(late[me], call)
	fi;
	noCall(call)
}

inline forget() {
	owner = 0; former = 0; token = 0; revision = 0; at = 0; acquire = false; fillable = false; changing = false; lost = false;
	applied = 0; fill_from = 0; result = 0
}

/* A reader that projects the shard: Projector with cacheLeases. */
proctype Holder(byte me) {
	byte owner, former, token, revision, at;   /* lease */
	bool acquire, fillable, changing, lost;
	byte applied, fill_from;                   /* EventConsumer.applied, cacheLeases.fillFrom */
	byte result;
restart: {
		skip;
begin:
end_idle:	(owner_is == me);
		/* Begin: Cache.Acquire */
		atomic { tokens++; owner = tokens; acquire = true; extend(false, false); result = 0 };
		/* Begin: blockFillsBefore the events that the log has now */
		fill_from = log_end;
#ifdef BUG_NO_FILL_FROM
		fill_from = 0;
#endif
		atomic { applied = v_version; if :: applied >= fill_from -> fillable = true :: else fi };
		if
		:: atomic { fillable && token != NONE -> extend(false, false); result = 0 }
		:: else
		fi;
end_events:	do
		:: owner_is != me -> break
		/* RenewLeases */
		:: atomic { renewals > 0 && !lost -> renewals--; extend(false, false); result = 0 }
#ifdef BUG_VIEW_FIRST
		:: applied < log_end -> atomic { if :: v_version < applied + 1 -> v_version = applied + 1 :: else fi };
#else
		:: applied < log_end ->
#endif
			/* Cache.Invalidate */
#ifndef BUG_NO_FENCE
			if :: lost -> break :: else fi;
#endif
			atomic {
				changing = true;
				if :: token != NONE -> extend(false, true) :: else -> result = FAILED fi
			};
			if
			:: result == OK -> skip
#ifdef BUG_NO_FENCE
			:: result == LOST -> skip
#else
			:: result == LOST -> break
#endif
#ifdef BUG_NO_WAIT
			:: result == FAILED -> skip
#else
			:: result == FAILED && expires[me] == 0 -> skip
#endif
			fi;
			result = 0;
			if
			:: atomic { renewals > 0 && !lost -> renewals--; extend(false, false); result = 0 }
			:: true
			fi;
			/* View.Apply */
			atomic { applied++; if :: v_version < applied -> v_version = applied :: else fi };
			/* Cache.AllowFill */
			atomic {
				if
				:: applied < fill_from -> skip
				:: applied >= fill_from && token == NONE -> fillable = true; changing = false
				:: applied >= fill_from && token != NONE -> fillable = true; changing = false; extend(true, false); result = 0
				fi
			}
		od;
		/* End: Cache.Release */
		atomic { forget() };
		goto begin
	} unless {
		crash[me] -> atomic { crash[me] = false; forget() }
	};
	goto restart
}

/* Redis executes calls late, or never. A tick ends the leases that were extended before it. */
proctype Redis() {
end:	do
	:: atomic { late[0].owner != 0 -> if :: execute(late[0]) :: true fi; noCall(late[0]) }
	:: atomic { late[1].owner != 0 -> if :: execute(late[1]) :: true fi; noCall(late[1]) }
	:: atomic { LEASED || expires[0] > 0 || expires[1] > 0 || untrusted > 0 || late[0].ttl > 0 || late[1].ttl > 0 || saved_lease.ttl > 0 ->
			if :: lease.ttl == 1 -> noLease() :: lease.ttl > 1 -> lease.ttl-- :: else fi;
			if :: saved_lease.ttl > 0 -> saved_lease.ttl-- :: else fi;
			if :: expires[0] > 0 -> expires[0]-- :: else fi;
			if :: expires[1] > 0 -> expires[1]-- :: else fi;
			if :: late[0].ttl > 0 -> late[0].ttl-- :: else fi;
			if :: late[1].ttl > 0 -> late[1].ttl-- :: else fi;
			if :: untrusted > 0 -> untrusted-- :: else fi
		}
	od
}

/* Cache.Product, a hit. Without a restart of Redis no token comes back, so it is enough to look at one moment. */
proctype Lookup() {
#ifdef RESTART
	byte token, version, start;
#endif
end:	do
#ifndef RESTART
	:: atomic { LEASED && TRUSTED && lease.token == entry.token && entry.version < v_version -> assert(false) }
#else
	:: atomic { entry.token != NONE -> token = entry.token; version = entry.version; start = v_version };
		atomic {
			if :: LEASED && TRUSTED && lease.token == token -> assert(version >= start) :: else fi;
			token = 0; version = 0; start = 0
		}
#endif
	od
}

/* Cache.Product, a miss; View.Product; Cache.Fill */
proctype Filler() {
	byte token, bucket, version;
end:	do
	:: atomic { LEASED && TRUSTED && lease.fillable && lease.bucket != CHANGING -> token = lease.token; bucket = lease.bucket };
		version = v_version;
		atomic { /* fillScript */
			if
#ifdef BUG_NO_FILL_REVISION
			:: LEASED && lease.token == token -> entry.token = token; entry.version = version
#else
			:: LEASED && lease.token == token && lease.fillable && lease.bucket == bucket -> entry.token = token; entry.version = version
#endif
			:: else
			fi;
			token = 0; bucket = 0; version = 0
		}
	od
}

proctype Environment() {
end:	do
	:: atomic { log_end < EVENTS -> log_end++ }
	:: atomic { faults > 0 -> faults--;
		if
		:: crash[owner_is] = true; owner_is = 1 - owner_is
		:: crash[owner_is] = true
		:: owner_is = 1 - owner_is
		:: LEASED -> noLease() /* evicted */
		:: entry.token != NONE -> entry.token = NONE; entry.version = 0
		:: saved -> /* a restart from the snapshot */
			server++; untrusted = TTL;
			noCall(late[0]); noCall(late[1]);
			entry.token = saved_entry.token; entry.version = saved_entry.version;
			holder.name = saved_holder.name; holder.revision = saved_holder.revision;
			noLease();
			if
			:: saved_lease.ttl > 0 ->
				lease.token = saved_lease.token; lease.bucket = saved_lease.bucket; lease.server = saved_lease.server;
				lease.ttl = saved_lease.ttl; lease.fillable = saved_lease.fillable
			:: else
			fi
		fi }
#ifdef RESTART
	:: atomic { !saved && entry.token != NONE -> saved = true; /* a snapshot, or the copy of a replica */
			saved_entry.token = entry.token; saved_entry.version = entry.version;
			saved_holder.name = holder.name; saved_holder.revision = holder.revision;
			saved_lease.token = lease.token; saved_lease.bucket = lease.bucket; saved_lease.server = lease.server;
			saved_lease.ttl = lease.ttl; saved_lease.fillable = lease.fillable }
#endif
	od
}

init {
	atomic { run Holder(0); run Holder(1); run Redis(); run Lookup(); run Filler(); run Environment() }
}
