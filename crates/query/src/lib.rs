//! The delegator of one VChannel: snapshot at a tick, plan, fan out, reduce
