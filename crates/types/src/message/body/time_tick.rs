//! The body of a TimeTick.

use bytes::Bytes;
use prost::Message as _;

use crate::Tick;
use crate::proto::common::{MsgBase, MsgType};
use crate::proto::msg::TimeTickMsg;

/// The body of a TimeTick: for foreign readers only, ours take the tick from the message.
#[derive(Clone, Copy, Debug)]
pub struct TimeTickBody;

impl TimeTickBody {
    /// The payload of a TimeTick whose tick is not known yet.
    #[must_use]
    pub fn encode() -> Bytes {
        TimeTickBody::encode_at(Tick::ZERO)
    }

    /// The payload of a TimeTick.
    #[must_use]
    pub fn encode_at(tick: Tick) -> Bytes {
        let base = MsgBase { msg_type: MsgType::TimeTick.into(), timestamp: tick.0, ..Default::default() };
        TimeTickMsg { base: Some(base) }.encode_to_vec().into()
    }
}
