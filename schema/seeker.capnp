@0xd0b1a6e3f2c94703;
# The front door, and the seeker's face of the coordinator.

using Common = import "common.capnp";
using Operator = import "operator.capnp";
using Admin = import "admin.capnp";

interface Coordinator {
  # What a connection gets first. The certificate decides which door opens; the others fail with a
  # reason. An admin's opens the seekers' door too.

  operator @0 (protocolVersion :UInt32) -> (session :Operator.OperatorSession);
  seeker @1 (protocolVersion :UInt32) -> (session :SeekerSession);
  ping @2 () -> (protocolVersion :UInt32, serverVersion :Text);
  admin @3 (protocolVersion :UInt32) -> (session :Admin.AdminSession);

  ledger @4 (protocolVersion :UInt32) -> (ledger :Ledger);
  # Open to operators, seekers and admins.

  profiles @5 (protocolVersion :UInt32) -> (profiles :List(Profile));
  # What kinds of tasks are known to take, by kind, at most 10,000. Open to operators and admins. Idempotent.
}

struct Profile {
  # What a kind of task is known to take on one sort of device.
  kind @0 :Text;
  device @1 :Text;
  # Its name, or `cpu`; empty: on all of them together.
  items @2 :UInt64;
  # That it is known from.
  p50Ms @3 :UInt64;
  p90Ms @4 :UInt64;
  p99Ms @5 :UInt64;
  usage @6 :Common.Usage;
  # What 99 of a hundred items stayed within.
}

interface Ledger {
  # The books, as far as the certificate's owner may see them: an operator its account, a seeker its own
  # and those of its workflows, an admin all.

  accounts @0 () -> (accounts :List(Holding));
  # What is in them, but for those of single workflows; at most 10,000. Idempotent.

  postings @1 (account :Text, from :UInt64, limit :UInt32) -> (postings :List(Common.Posting), balance :Text);
  # Entries of an account from this index on, the oldest first, at most 1000, and what it holds in all.
  # Idempotent.

  struct Holding {
    account @0 :Text;
    # As froben-model writes it: operator/NAME, seeker/NAME, budget/ID, held/ID.
    balance @1 :Text;
    # Millionths, in decimal digits; a debt has a minus sign.
  }
}

enum WorkflowState {
  running @0;
  succeeded @1;
  failed @2;
  cancelled @3;
  paused @4;
}

struct Failure {
  code @0 :Text;
  # Stable, like FRB-LUA-002; each has its page in docs/errors.
  message @1 :Text;
}

struct Stage {
  # What the script said last of itself by ctx:status, and what it said before of other phases.
  phase @0 :Text;
  done @1 :UInt64;
  total @2 :UInt64;
  startedMs @3 :UInt64;
  endedMs @4 :UInt64;
  # 0 while it runs. Milliseconds since the epoch.
}

enum DelegationState {
  queued @0;
  assigned @1;
  running @2;
  succeeded @3;
  failed @4;
  timedOut @5;
  cancelled @6;
  checking @7;
  # No machine has it any more, and some of its items wait for their checks.
}

struct Delegation {
  call @0 :UInt64;
  key @1 :Text;
  kind @2 :Text;
  state @3 :DelegationState;
  attempt @4 :UInt32;
  machine @5 :Text;
  # The machine that has or had it last; empty if none.
  device @6 :Text;
  # The device's name as the worker reported it; empty for CPU work.
  itemsTotal @7 :UInt32;
  itemsOk @8 :UInt32;
  itemsFailed @9 :UInt32;
  queuedMs @10 :UInt64;
  assignedMs @11 :UInt64;
  endedMs @12 :UInt64;
  error @13 :Common.ItemError;
  # Absent unless it failed.
}

struct WorkflowSummary {
  id @0 :Text;
  pipeline @1 :Text;
  revision @2 :Text;
  state @3 :WorkflowState;
  submittedMs @4 :UInt64;
  endedMs @5 :UInt64;
  # 0 while it runs.
  failure @6 :Failure;
  # Absent unless it failed.
  output @7 :Common.Value;
  # Nil unless it succeeded.
  inputs @8 :Text;
  # What it was started with, on one line for people.
  parent @9 :Text;
  # The id of the workflow that runs it; empty if none.
}

struct WorkflowDetail {
  summary @0 :WorkflowSummary;
  stages @1 :List(Stage);
  delegations @2 :List(Delegation);
  waiting @3 :List(Text);
  # Why queued delegations wait, a line each, the commonest first; at most 8.
}

struct LogLine {
  seq @0 :UInt64;
  # Position in the workflow's journal.
  timeMs @1 :UInt64;
  source @2 :Text;
  # "script", "coordinator" or a machine's name.
  text @3 :Text;
}

enum Fault {
  # Who answers for a failure.
  operator @0;
  # It counts in the machine's reputation.
  workflow @1;
  # The script, or whoever cancelled it.
  data @2;
  # What the task was given: no machine can do it.
  platform @3;
  # Nobody took it, or the coordinator restarted.
}

struct Cause {
  # Why something ended as it did.
  class @0 :Common.ErrorClass;
  # Nothing to go by if `givenBack`.
  givenBack @1 :Bool;
  # The attempt ended before it began, or by a restart, which is no failure of its items.
  message @2 :Text;
  fault @3 :Fault;
}

enum AttemptEnd {
  open @0;
  # It is not over.
  succeeded @1;
  failed @2;
  timedOut @3;
  cancelled @4;
  requeued @5;
  # It ended before it began, or by a restart; the delegation waited again.
}

struct AttemptTrail {
  # Moments are milliseconds since the epoch, 0 if they have not come.
  number @0 :UInt32;
  # 1 for the first. With workflow and call it names the attempt.
  machine @1 :Text;
  device @2 :Text;
  # Its name as the worker reported it, its id until then; empty for CPU work.
  queuedMs @3 :UInt64;
  # From here on it waited for a machine.
  assignedMs @4 :UInt64;
  startedMs @5 :UInt64;
  itemsOk @6 :UInt32;
  itemsFailed @7 :UInt32;
  firstItemMs @8 :UInt64;
  lastItemMs @9 :UInt64;
  endedMs @10 :UInt64;
  end @11 :AttemptEnd;
  cause @12 :Cause;
  # Absent unless it failed or was given back.
  log @13 :List(LogLine);
  # The last lines that its worker wrote, at most 8.
  claimed @14 :Claimed;
  # Absent if an old journal does not say.
}

struct Claimed {
  # Reserved of the machine.
  cpuCores @0 :UInt32;
  ramBytes @1 :UInt64;
  vramBytes @2 :UInt64;
  price @3 :Common.Amount;
  # Of each item; absent if it is nothing.
}

struct DelegationTrail {
  call @0 :UInt64;
  key @1 :Text;
  kind @2 :Text;
  state @3 :DelegationState;
  needs @4 :Common.Needs;
  itemsTotal @5 :UInt32;
  itemsOk @6 :UInt32;
  itemsFailed @7 :UInt32;
  queuedMs @8 :UInt64;
  endedMs @9 :UInt64;
  cause @10 :Cause;
  # Absent unless it ended without an attempt that is to blame.
  keptFrom @11 :Text;
  # The workflow that it was made in, if this one is a fork which kept it; empty otherwise.
  attempts @12 :List(AttemptTrail);
  # The oldest first.
}

struct MachineStatus {
  name @0 :Text;
  cpuCores @1 :UInt32;
  ramBytes @2 :UInt64;
  devices @3 :List(Operator.DeviceSpec);
  kinds @4 :List(Text);
  attempts @5 :UInt32;
  # Running now.
  succeeded @6 :UInt64;
  failed @7 :UInt64;
  draining @8 :Bool;
  # It is about to leave, and takes nothing more.
}

struct PipelineInfo {
  name @0 :Text;
  inputs @1 :List(Input);
  revision @2 :Text;

  struct Input {
    name @0 :Text;
    type @1 :Text;
    # "blob", "string", "number", "boolean" or "table".
    optional @2 :Bool;
  }
}

interface SeekerSession {
  # A seeker sees its own workflows only.

  blobs @0 () -> (blobs :Common.BlobStore);

  submit @1 (pipeline :Text, input :Common.Value, idempotencyKey :Text, budget :Common.Amount,
      wantedByMs :UInt64) -> (answer :SubmitAnswer);
  # Starts a workflow. The answer comes after its record is on disk. Idempotent by
  # (seeker, idempotencyKey) if the key is not empty: the same key never starts two. `budget` and
  # `wantedByMs` as in the journal.

  status @2 (id :Text) -> (detail :WorkflowDetail);
  # Fails as "no such workflow" for an id of somebody else's too. Idempotent.

  list @3 (limit :UInt32) -> (workflows :List(WorkflowSummary));
  # The newest first, at most 1000.

  cancel @4 (id :Text) -> (state :WorkflowState);
  # Idempotent. Answers after the record is on disk, with the state that holds then.

  logs @5 (id :Text, fromSeq :UInt64, limit :UInt32) -> (lines :List(LogLine));
  # Lines from this seq on, the oldest first, at most 1000.

  pipelines @6 () -> (pipelines :List(PipelineInfo));
  machines @7 () -> (machines :List(MachineStatus));

  pause @8 (id :Text) -> (state :WorkflowState);
  # From here on its script is told nothing and its delegations are not handed out. What runs may
  # finish, and what comes is kept. Idempotent. Answers after the record is on disk, with the state
  # that holds then, like the next one.

  resume @9 (id :Text) -> (state :WorkflowState);
  # Lets it go on. Idempotent.

  fork @10 (id :Text, step :Text, revision :Text, idempotencyKey :Text) -> (answer :SubmitAnswer);
  # Starts a workflow that begins where this one, live or over, was before `step`: a call's number or the
  # key of a delegation or a child. All calls before it are kept with what came of them. `revision` as in
  # `migrate`, or empty for the one that the workflow keeps; refused if it would not make the kept calls
  # again. Idempotent as `submit` is, and by the same keys: what a key has started is the answer.

  migrate @11 (id :Text, revision :Text, dryRun :Bool) -> (answer :MigrateAnswer);
  # Holds the workflow's journal against a revision, "newest" or 4 to 64 hex digits that only one begins
  # with, and, unless `dryRun`, moves a live workflow there. Refused with the first call that differs. Idempotent. Fails as busy
  # while the script keeps running: pause it first.

  export @12 (id :Text, keepNames :Bool) -> (answer :ExportAnswer);
  # The whole workflow as a file that replays anywhere. Without `keepNames` people and machines have
  # pseudonyms in it. Idempotent.

  trail @13 (id :Text, which :Text, failedOnly :Bool, from :UInt64, limit :UInt32)
      -> (answer :TrailAnswer);
  # What became of delegations, attempt by attempt, by call; `which` is a call's number or a key, which
  # also stands for those that go on from it with a "/", or empty for all. At most 1000 from the call
  # `from` on, fewer if a message has no room. Works for workflows that live and for those that are over.
  # Idempotent.

  why @14 (id :Text, which :Text) -> (answer :WhyAnswer);
  # Why a delegation of a live workflow is where it is, machine by machine; `which` is a call's number or a
  # key. Idempotent.

  struct WhyAnswer {
    union {
      why @0 :Why;
      refused @1 :Failure;
      # There is none that is called so, or the workflow is over.
    }
  }

  struct Why {
    call @0 :UInt64;
    key @1 :Text;
    kind @2 :Text;
    state @3 :DelegationState;
    waits @4 :Text;
    # What it waits for, in one line; empty if it does not.
    machines @5 :List(Reason);
    # Fewer than are connected if a message has no room.

    struct Reason {
      machine @0 :Text;
      reason @1 :Text;
      lasts @2 :Bool;
      # Whether waiting does not help while the machine is as it is.
    }
  }

  struct TrailAnswer {
    union {
      page @0 :Page;
      refused @1 :Failure;
      # There is none that is called so.
    }

    struct Page {
      delegations @0 :List(DelegationTrail);
      next @1 :UInt64;
      # Where the next page begins; 0 if this is the last one. Calls count from 1.
    }
  }

  struct SubmitAnswer {
    union {
      id @0 :Text;
      refused @1 :Failure;
    }
  }

  struct MigrateAnswer {
    union {
      done @0 :Migrated;
      refused @1 :Failure;
    }
    parting @2 :Parting;
    # If it is refused for a call that differs; null otherwise.
  }

  struct Parting {
    # From where on a fork could go on with the other scripts.
    call @0 :UInt64;
    # The first call that differs.
    revision @1 :Text;
  }

  struct Migrated {
    revision @0 :Text;
    calls @1 :UInt64;
    # Of the journal: the revision makes them again.
    beyond @2 :UInt64;
    # Calls that it makes beyond them at once.
    switched @3 :Bool;
    # Whether the workflow keeps it from here on.
  }

  struct ExportAnswer {
    union {
      file @0 :File;
      refused @1 :Failure;
    }

    struct File {
      blob @0 :Common.BlobRef;
      # What the bytes are to be checked against. No store has it: it is to be had from the reader.
      reader @1 :Common.BlobReader;
    }
  }
}
