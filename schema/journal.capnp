@0xd0b1a6e3f2c94704;
# What is written down. A record is never changed after it is written; old ones are read for ever.

using Common = import "common.capnp";

const journalVersion :UInt32 = 4;

struct Record {
  timeMs @0 :UInt64;
  # When it was decided, by the coordinator's clock.
  union {
    submitted @1 :Submitted;
    called @2 :Called;
    assigned @3 :Assigned;
    started @4 :Started;
    item @5 :Item;
    requeued @6 :Requeued;
    ended @7 :Ended;
    slept @8 :Slept;
    cancelRequested @9 :Void;
    finished @10 :Finished;
    logged @11 :Logged;
    childEnded @12 :ChildEnded;
    tallied @13 :List(Tally);
    # What its machines did, for their reputation. The record before `finished`, since version 3.
    paused @14 :Void;
    # From here on the script is told nothing, and what waits for a machine waits on.
    resumed @15 :Void;
    migrated @16 :Data;
    # From here on it keeps this revision: 32 bytes. Its script makes the calls before this again.
    claimed @17 :Item;
    # A value came that counts once its check approves it. Since version 4, like the next one.
    lost @18 :Lost;
  }
}

struct Submitted {
  pipeline @0 :Text;
  revision @1 :Data;
  # 32 bytes: the script set's content hash.
  seeker @2 :Text;
  idempotencyKey @3 :Text;
  input @4 :Common.Value;
  seed @5 :UInt64;
  # Of the workflow's random numbers.
  parent @6 :Parent;
  # Absent unless another workflow runs this one.

  forkedFrom @7 :ForkedFrom;
  # Absent unless it is a fork.
  budget @8 :Common.Amount;
  # What it and its children may cost; absent if there is no limit.
  wantedByMs @9 :UInt64;
  # When its seeker would like to have it, which decides who goes first; 0 if it does not matter.

  struct Parent {
    workflow @0 :Data;
    # 16 bytes: its id.
    call @1 :UInt64;
    depth @2 :UInt32;
    # How many workflows are above this one: 1 or more.
  }
}

struct ForkedFrom {
  workflow @0 :Data;
  # 16 bytes.
  step @1 :UInt64;
  # The first call that was not kept.
  carried @2 :UInt64;
  # So many records behind this one are the other workflow's: accounted for there, never here.
  begunMs @3 :UInt64;
  # When the first workflow of the line began: its script's time goes on in the fork.
}

struct Called {
  # The script made a call. Calls are numbered in script order.
  call @0 :UInt64;
  line @1 :UInt32;
  # Of the script's source; 0 if unknown.
  union {
    delegate @2 :Common.TaskSpec;
    sleep @3 :UInt64;
    # Milliseconds.
    status @4 :Status;
    log @5 :Text;
    cancel @6 :UInt64;
    # The call id of the delegation or child to cancel.
    run @7 :Run;
  }
  fed @8 :UInt64;
  # How many completions the script had been told when it made the call; 0 also if unknown.

  struct Status {
    phase @0 :Text;
    done @1 :UInt64;
    total @2 :UInt64;
  }

  struct Run {
    # Another pipeline of the same revision, as a workflow of its own.
    pipeline @0 :Text;
    input @1 :Common.Value;
    key @2 :Text;
    # The author's name for it; empty if there is none.
  }
}

struct Assigned {
  # Capacity is reserved, and the timer set, by this record.
  call @0 :UInt64;
  attempt @1 :UInt32;
  epoch @2 :UInt64;
  machine @3 :Text;
  device @4 :Text;
  # The device's id; empty for CPU work.
  deadlineMs @5 :UInt64;
  cpuCores @6 :UInt32;
  # Claimed, like the next two. All 0 before version 4.
  ramBytes @7 :UInt64;
  vramBytes @8 :UInt64;
  price @9 :Common.Amount;
  # For each item that is still missing, and reserved for it. Absent if it is nothing.
}

struct Started {
  call @0 :UInt64;
  attempt @1 :UInt32;
}

struct Item {
  call @0 :UInt64;
  attempt @1 :UInt32;
  index @2 :UInt32;
  outcome @3 :Common.ItemOutcome;
  device @4 :Text;
  # The device's name; empty for CPU work.
  usage @5 :Common.Usage;
  # Absent if it is not known.
}

struct Lost {
  # An attempt ended while another one of the same delegation goes on.
  call @0 :UInt64;
  attempt @1 :UInt32;
  failure @2 :Common.ItemError;
}

struct Requeued {
  # The attempt ended before it had begun, or by a restart; the delegation waits again.
  call @0 :UInt64;
  attempt @1 :UInt32;
  reason @2 :Text;
  fault @3 :Bool;
  # Whether it counts against the machine.
}

struct Ended {
  # The delegation is over. Items that had not come end with `failure`.
  call @0 :UInt64;
  attempt @1 :UInt32;
  # 0 if it was never assigned.
  end @2 :End;
  failure @3 :Common.ItemError;
  # Absent if every item came.

  enum End {
    succeeded @0;
    failed @1;
    timedOut @2;
    cancelled @3;
  }
}

struct Slept {
  call @0 :UInt64;
}

struct Finished {
  union {
    output @0 :Common.Value;
    failure @1 :Failure;
    cancelled @2 :Void;
  }

  struct Failure {
    code @0 :Text;
    message @1 :Text;
  }
}

struct ChildEnded {
  # A workflow that this one runs is over. Written together with that one's `finished`.
  call @0 :UInt64;
  finish @1 :Finished;
}

struct Tally {
  # Items of one machine at one kind, within an hour.
  machine @0 :Text;
  kind @1 :Text;
  ok @2 :UInt32;
  failed @3 :UInt32;
  # By the operator's own fault.
  atMs @4 :UInt64;
  # When the last of them ended.
  times @5 :List(Bucket);
  # How long items with a value took. Since version 4.
  checked @6 :UInt32;
  # Of those that are `ok`, so many were approved by a check.

  struct Bucket {
    bucket @0 :UInt8;
    # Of froben-model's TimeBucket.
    count @1 :UInt32;
  }
}

struct Logged {
  source @0 :Text;
  text @1 :Text;
  call @2 :UInt64;
  # Whose attempt said it; 0 if none did, and before version 4.
  attempt @3 :UInt32;
}

struct ScriptSet {
  # A revision: its content hash is its key.
  files @0 :List(File);

  struct File {
    path @0 :Text;
    source @1 :Text;
  }
}

struct Served {
  # An entry of the history of revisions: from here on new workflows got `revision`.
  index @0 :UInt64;
  # 1, 2, 3 ... without gaps; also its key.
  revision @1 :Data;
  # 32 bytes: the script set's content hash.
  timeMs @2 :UInt64;
  by @3 :Text;
  # The name of the admin, or "coordinator".
  origin @4 :Origin;
  note @5 :Text;

  enum Origin {
    start @0;
    # The coordinator's own folder, as it was started.
    folder @1;
    # That folder, read again.
    apply @2;
    rollback @3;
  }
}
