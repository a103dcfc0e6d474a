//! Messages of etcd's API, as far as they are used here: `rpc.proto` and `kv.proto` of etcd 3.4. A
//! field of a `oneof` is an optional field here, which is the same on the wire.

use prost::Message;

/// [`Compare::result`]: the compared value equals the key's.
pub const EQUAL: i32 = 0;
/// [`Compare::target`]: the revision of the key's last change.
pub const MOD_REVISION: i32 = 2;

/// Head of every answer.
#[derive(Clone, PartialEq, Message)]
pub struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// Of the whole store; of the change, where the answer is to one.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// `KV/Range`, of one key.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Whether it may be old; a read is linearizable otherwise.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
}

/// A key and what it is.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

/// Sets a key.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// The answer to `KV/Put`, as far as it is looked at: not at all.
#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOp {
    #[prost(message, optional, tag = "2")]
    pub request_put: Option<PutRequest>,
}

/// What a transaction is done under.
#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    #[prost(int32, tag = "1")]
    pub result: i32,
    #[prost(int32, tag = "2")]
    pub target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// 0 for a key that is not there.
    #[prost(int64, optional, tag = "6")]
    pub mod_revision: Option<i64>,
}

/// `KV/Txn`.
#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
pub struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
}

/// `Maintenance/Status`.
#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The member that leads; 0 where none is known.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
}
