@0xd0b1a6e3f2c94705;
# The admin's face of the coordinator: which scripts new workflows run.

using Common = import "common.capnp";

struct ScriptSet {
  # At most 256 files and 4 MiB of sources, so that it fits a message.
  files @0 :List(File);

  struct File {
    path @0 :Text;
    # "pipelines/x.lua" or "lib/x.lua".
    source @1 :Text;
  }
}

enum Origin {
  start @0;
  # The coordinator's own folder, as it was started.
  folder @1;
  # That folder, read again.
  apply @2;
  rollback @3;
}

struct Entry {
  # Of the history: from here on, until the next one, new workflows got this revision.
  index @0 :UInt64;
  # 1, 2, 3 ... without gaps.
  revision @1 :Data;
  # 32 bytes: the script set's content hash.
  timeMs @2 :UInt64;
  by @3 :Text;
  # The name of the admin, or "coordinator".
  origin @4 :Origin;
  note @5 :Text;
  # One line, at most limits::NOTE_BYTES.
}

struct Problem {
  code @0 :Text;
  # Stable, like FRB-LUA-001; each has its page in docs/errors.
  path @1 :Text;
  # Empty if it is the set as a whole.
  line @2 :UInt32;
  # 0 if it is the file as a whole.
  message @3 :Text;
  hint @4 :Text;
}

struct Field {
  name @0 :Text;
  expected @1 :Text;
  # Like "blob".
  optional @2 :Bool;
  default @3 :Common.Value;
  # Nil if there is none.
}

struct Signature {
  # What a pipeline takes and gives.
  name @0 :Text;
  path @1 :Text;
  inputs @2 :List(Field);
  outputs @3 :List(Field);
}

struct Plan {
  serving @0 :Entry;
  # The newest entry: what is served. Its index is what `checkIndex` asks for.
  revision @1 :Data;
  # The set's own hash; the same as what is served if nothing would change.
  knownAs @2 :UInt64;
  # The newest entry that served this very set; 0 if none did.
  problems @3 :List(Problem);
  # Why it can't be served; empty if it can.
  before @4 :List(Signature);
  after @5 :List(Signature);
  # Empty if the set has problems.
  live @6 :List(Live);
  omitted @7 :Bool;
  # The pipelines are left out, before and after: an answer has no room for them.

  struct Live {
    # Workflows that are live and keep a revision.
    revision @0 :Data;
    workflows @1 :UInt64;
  }
}

struct Change {
  union {
    served @0 :Entry;
    # Durable: every workflow that is submitted from now on gets this revision.
    unchanged @1 :Entry;
    # This very revision is served already.
    moved @2 :Entry;
    # Refused: this is the newest entry, not the one that was named by `checkIndex`.
    broken @3 :List(Problem);
    # Refused: the set does not check.
    noEntry @4 :UInt64;
    # Refused: there is no entry to roll back to; the newest index.
  }
}

interface AdminSession {
  # Nothing here touches a workflow that runs: it keeps its revision. Checking a set takes a bounded
  # time, and sets are checked one after another; a coordinator that is at it for others answers busy.

  serving @0 () -> (entry :Entry);
  # The newest entry of the history. Idempotent.

  plan @1 (scripts :ScriptSet) -> (plan :Plan);
  # What `apply` would mean. Changes nothing.

  apply @2 (scripts :ScriptSet, checkIndex :UInt64, note :Text) -> (change :Change);
  # Gives new workflows these scripts if they check, and if `checkIndex` is the newest index. Answers
  # after the entry is on disk. A repeated call does no harm: it meets a newer index.

  rollback @3 (to :UInt64, checkIndex :UInt64, note :Text) -> (change :Change);
  # Serves the revision of the entry `to` again, as a new entry; 0 means the last entry but one.
  # Otherwise as `apply`.

  history @4 (before :UInt64, limit :UInt32) -> (entries :List(Entry));
  # Entries with an index below `before`, the newest first, at most 1000; 0 means from the newest on.

  sources @5 (revision :Text) -> (revision :Data, scripts :ScriptSet);
  # The scripts of the revision whose hash, in hex, begins like this: 4 digits at least. Fails as "no
  # such revision" if none does or several do. Idempotent.
}
