@0xd0b1a6e3f2c94701;
# Words that every face of the coordinator shares. Sizes end in their unit; a field that is gone is
# renamed obsoleteN, never reused.

const protocolVersion :UInt32 = 1;
# A peer says it in its first call. The coordinator refuses a version that it does not speak, and
# names the ones that it does.

struct BlobRef {
  hash @0 :Data;
  # 32 bytes: BLAKE3 of the content.
  sizeBytes @1 :UInt64;
}

struct Value {
  # Plain data, at most limits::VALUE_BYTES by weight and limits::VALUE_DEPTH deep.
  union {
    nil @0 :Void;
    bool @1 :Bool;
    int @2 :Int64;
    number @3 :Float64;
    # Finite.
    text @4 :Text;
    list @5 :List(Value);
    map @6 :List(Entry);
    # Strictly ascending keys.
    blob @7 :BlobRef;
  }

  struct Entry {
    key @0 :Text;
    value @1 :Value;
  }
}

enum ErrorClass {
  # Why an item has no value; classed by how the script should respond. Closed: see froben-model.
  timeout @0;
  disconnected @1;
  outOfMemory @2;
  invalidResult @3;
  workerFailed @4;
  noCapacity @5;
  cancelled @6;
  badRequest @7;
}

struct ItemError {
  class @0 :ErrorClass;
  message @1 :Text;
  # One line, at most limits::TEXT_BYTES.
  operator @2 :Text;
  # Absent if nobody had it.
}

struct ItemOutcome {
  union {
    value @0 :Value;
    error @1 :ItemError;
  }
}

struct Needs {
  cpuCores @0 :UInt32;
  ramBytes @1 :UInt64;
  vramBytes @2 :UInt64;
  # Above 0 the task claims one device.
  shared @3 :Bool;
}

struct TaskSpec {
  kind @0 :Text;
  input @1 :Value;
  items @2 :List(Value);
  needs @3 :Needs;
  timeoutMs @4 :UInt64;
  queueTimeoutMs @5 :UInt64;
  avoid @6 :List(Text);
  key @7 :Text;
  keys @8 :List(SetupKey);
  # What the machine's keystore must hold.
  check @9 :Text;
  # The kind that must approve each item before it counts; empty if none must.
  maxPrice @10 :Amount;
  # For an item; absent if any price will do.
}

struct SetupKey {
  # A file of an operator's keystore, by its content.
  name @0 :Text;
  sha256 @1 :Data;
  # 32 bytes.
}

struct Amount {
  # Money: millionths of the network's unit of account.
  micros @0 :UInt64;
}

struct Posting {
  # An entry of the ledger: `amount` goes from one account to another. Written together with the record
  # that causes it.
  index @0 :UInt64;
  # 1, 2, 3 ... without gaps; also its key.
  timeMs @1 :UInt64;
  workflow @2 :Data;
  # 16 bytes. The one whose record caused it.
  call @3 :UInt64;
  # 0 if it is not about a delegation.
  attempt @4 :UInt32;
  cause @5 :Cause;
  from @6 :Account;
  to @7 :Account;
  amount @8 :Amount;

  enum Cause {
    reserve @0;
    settle @1;
    release @2;
    close @3;
  }

  struct Account {
    union {
      seeker @0 :Text;
      operator @1 :Text;
      budget @2 :Data;
      # 16 bytes: the workflow that no other one runs.
      held @3 :Data;
    }
  }
}

struct Usage {
  # The most that a piece of work occupied; 0 where it is not known.
  ramBytes @0 :UInt64;
  vramBytes @1 :UInt64;
}

struct LeaseToken {
  # Fences an attempt. A message with any other token than that of the attempt which holds the
  # reservation now changes nothing and is answered `stale`.
  workflow @0 :Data;
  # 16 bytes.
  call @1 :UInt64;
  # With the highest bit: the check of an item. See froben-model, CallId.
  attempt @2 :UInt32;
  epoch @3 :UInt64;
}

interface BlobReader {
  # A blob open for reading. Dropping it closes it.

  read @0 (offset :UInt64, sizeBytes :UInt32) -> (data :Data);
  # Called by whoever opened it. Idempotent. Gives at most limits::CHUNK_BYTES; less at the end of
  # the blob, nothing past it.
}

interface BlobWriter {
  # A blob on its way in. It exists for nobody until `finish` has answered; dropping the writer, or
  # losing the connection, forgets it.

  write @0 (chunk :Data) -> ();
  # Appends at most limits::CHUNK_BYTES. Not idempotent. Calls may overlap; they are taken in order.

  finish @1 (blob :BlobRef) -> ();
  # Publishes the bytes after they are on disk. Fails if they are not the bytes of `blob`.
}

interface BlobStore {
  read @0 (blob :BlobRef) -> (reader :BlobReader);
  # Fails as "no such blob" if it is not there. Idempotent.

  write @1 (sizeBytes :UInt64) -> (writer :BlobWriter);
  # Starts an upload of at most `sizeBytes`.

  has @2 (blob :BlobRef) -> (present :Bool);
  # Lets a peer skip an upload. Idempotent.
}
