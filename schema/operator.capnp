@0xd0b1a6e3f2c94702;
# The operator's face of the coordinator. The identity is the certificate's, never a field.

using Common = import "common.capnp";

struct DeviceSpec {
  id @0 :Text;
  # Stable across restarts: the PCI address where the device tells it.
  name @1 :Text;
  vendor @2 :Text;
  driver @3 :Text;
  vramBytes @4 :UInt64;
}

struct MachineSpec {
  label @0 :Text;
  # Unique among the operator's machines.
  cpuCores @1 :UInt32;
  ramBytes @2 :UInt64;
  devices @3 :List(DeviceSpec);
  cpuKinds @4 :List(Text);
  deviceKinds @5 :List(Text);
  prices @6 :List(Price);
  # What an item of a kind costs; a kind that is not listed costs nothing.
  keys @7 :List(HeldKey);
  # What its keystore holds, each verified by its hash.

  struct Price {
    kind @0 :Text;
    amount @1 :Common.Amount;
  }

  struct HeldKey {
    # A Common.SetupKey, as far as older sides read it.
    name @0 :Text;
    sha256 @1 :Data;
    bytes @2 :UInt64;
    # Its size; 0 if that is not said.
  }
}

struct Task {
  token @0 :Common.LeaseToken;
  kind @1 :Text;
  input @2 :Common.Value;
  items @3 :List(Item);
  # The items that are still owed.
  device @4 :Text;
  # The id of the device that is claimed for it; absent for a CPU task.
  cpuCores @5 :UInt32;
  # Cores that are claimed for it.
  ramBytes @6 :UInt64;
  vramBytes @7 :UInt64;
  timeoutMs @8 :UInt64;
  # Left from now. The coordinator ends the attempt by its own clock; this is for the worker.
  keys @9 :List(Common.SetupKey);
  # What the task names of the machine's keystore: the worker is told where these files lie.

  struct Item {
    index @0 :UInt32;
    # Its position in the delegation, from 0.
    input @1 :Common.Value;
  }
}

interface Machine {
  # Held by the coordinator, implemented by the daemon.

  assign @0 (task :Task) -> (answer :Answer);
  # Offers a task that the coordinator has already reserved capacity for. Not idempotent. The daemon
  # answers at once and starts the work; a disconnect ends the attempt on both sides.

  cancel @1 (token :Common.LeaseToken) -> ();
  # The attempt is over, whatever it is doing. Idempotent; unknown tokens are fine.

  ping @2 () -> ();
  # Called every limits `heartbeatMs`. The coordinator cuts a machine that misses three.

  struct Answer {
    union {
      accepted @0 :Void;
      refused @1 :Text;
      # Why, one line. The attempt ends and another machine is sought.
    }
  }
}

enum Receipt {
  recorded @0;
  # Durable: the journal has it.
  stale @1;
  # The token holds nothing any more: stop the attempt, forget its results.
}

interface Registration {
  # One machine's session, held by the daemon. Dropping it, or losing the connection, unregisters the
  # machine at once: its attempts end as `disconnected`.

  item @0 (token :Common.LeaseToken, index :UInt32, outcome :Common.ItemOutcome, device :Text,
      usage :Common.Usage) -> (receipt :Receipt);
  # An item is done; its blobs are uploaded. Idempotent by (token, index): the first one counts. A value of an
  # attempt of an earlier session may be told, too: it counts if its item is still missing.
  # `device` names what it ran on, `usage` says what it took, for the trail and for later placement.

  finish @1 (token :Common.LeaseToken, failure :Common.ItemError) -> (receipt :Receipt);
  # The attempt is over. With `failure`, the items that have not come end with it; without it they
  # end as `worker_failed`. Idempotent.

  log @2 (token :Common.LeaseToken, line :Text) -> ();
  # A line of the worker's, for `froben logs`. May be dropped under load.

  drain @4 () -> ();
  # The machine is about to leave: it is given nothing more, and finishes what it has. Idempotent.

  ping @3 () -> ();
  # The daemon's own heartbeat, so that it notices a coordinator that has gone.
}

interface OperatorSession {
  register @0 (spec :MachineSpec, machine :Machine) -> (registration :Registration);
  # Offers a machine. A label that is registered already is taken over: the older session is cut.

  blobs @1 () -> (blobs :Common.BlobStore);
}
