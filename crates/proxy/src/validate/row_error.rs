//! Why rows are refused, in the words that clients of Milvus look for.

use cinclus_types::DataType;

/// Why rows are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RowError {
    /// No row at all.
    #[error("num_rows should be greater than 0: invalid parameter[expected=invalid num_rows][actual=0]")]
    NoRows,
    /// A column that the schema does not have.
    #[error("fieldName {0} not exist in collection schema: invalid parameter")]
    UnknownField(String),
    /// A column given twice.
    #[error("duplicated field name {0} found: invalid parameter")]
    Duplicated(String),
    /// A column that must be given.
    #[error(
        "the number of fields is less than needed, fieldSchema({0}) has no corresponding fieldData pass in: invalid parameter"
    )]
    Missing(String),
    /// An upsert without keys.
    #[error("must assign pk when upsert, primary field: {0}: invalid parameter")]
    NoKeys(String),
    /// A column without a value, where each row needs one.
    #[error("{}field '{field}' is illegal, array type mismatch: invalid parameter[expected=need {}][actual=got nil]", kind(*.data_type), values_of(*.data_type))]
    Empty {
        /// The field.
        field: String,
        /// Its type.
        data_type: DataType,
    },
    /// Items of another type than the Array's.
    #[error("insert data does not match: invalid parameter[expected={} array][actual=other array]: in field {field}", item(*.expected))]
    WrongItems {
        /// The field.
        field: String,
        /// The type of its items.
        expected: DataType,
    },
    /// Values for the server's own keys.
    #[error(
        "more fieldData has pass in: invalid parameter[expected={expected}][actual={actual}]: field {field} has auto_id, the server makes its values"
    )]
    AutoIdGiven {
        /// The field.
        field: String,
        /// Fields of the schema.
        expected: usize,
        /// Those, and once more the one that the server fills in.
        actual: usize,
    },
    /// Values of another type.
    #[error(
        "the data type of field {field} does not match its schema, expected {expected:?}: invalid parameter"
    )]
    WrongType {
        /// The field.
        field: String,
        /// Its type.
        expected: DataType,
    },
    /// More or fewer values than rows.
    #[error(
        "the num_rows ({actual}) of field ({field}) is not equal to passed num_rows ({expected}): invalid parameter[expected={expected}][actual={actual}]"
    )]
    RowCount {
        /// The field.
        field: String,
        /// Rows of the request.
        expected: usize,
        /// Values.
        actual: usize,
    },
    /// Nulls where none may be.
    #[error(
        "the length of valid_data of field({0}) is wrong: invalid parameter: it is not nullable, but row {1} has no value"
    )]
    NotNullable(String, usize),
    /// Vectors of another dimension.
    #[error(
        "the dim ({actual}) of field data({field}) is not equal to schema dim ({expected}): invalid parameter[expected={expected}][actual={actual}]"
    )]
    Dimension {
        /// The field.
        field: String,
        /// Its dimension.
        expected: usize,
        /// The given one.
        actual: i64,
    },
    /// Floats that are no whole vectors.
    #[error("the length({length}) of float data should divide the dim({dim}): invalid parameter")]
    NotWhole {
        /// How many floats.
        length: usize,
        /// The dimension.
        dim: usize,
    },
    /// A number that is none, or infinite.
    #[error("value '{value}' is not a number or infinity: invalid parameter: in field {field}")]
    NotFinite {
        /// The field.
        field: String,
        /// The value.
        value: &'static str,
    },
    /// An integer that its type does not hold.
    #[error("the {row}th element ({value}) out of range: [{low}, {high}]: invalid parameter")]
    OutOfRange {
        /// The row.
        row: usize,
        /// The value.
        value: i64,
        /// The least allowed.
        low: i64,
        /// The greatest allowed.
        high: i64,
    },
    /// A text that is too long.
    #[error(
        "length of varchar field {field} exceeds max length, row number: {row}, length: {length}, max length: {limit}: invalid parameter"
    )]
    TooLong {
        /// The field.
        field: String,
        /// The row.
        row: usize,
        /// Bytes of the text.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A text in an Array that is too long.
    #[error(
        "length of Array array field \"{field}\" exceeds max length, row number: {row}, array index: {item}, length: {length}, max length: {limit}: invalid parameter"
    )]
    ItemTooLong {
        /// The field.
        field: String,
        /// The row.
        row: usize,
        /// Which item of it.
        item: usize,
        /// Bytes of the text.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Rows of an upsert that would replace each other.
    #[error("duplicate primary keys are not allowed in the same batch: invalid parameter")]
    DuplicateKeys,
    /// An Array with too many items.
    #[error(
        "the length ({length}) of {row}th array exceeds max capacity ({limit}): invalid parameter[expected=valid length array][actual=array length exceeds max capacity]: in field {field}"
    )]
    TooMany {
        /// The field.
        field: String,
        /// The row.
        row: usize,
        /// Items.
        length: usize,
        /// Items allowed.
        limit: usize,
    },
    /// An Array with a null among its items.
    #[error("the {row}th array {field} has null items, which are not supported: invalid parameter")]
    NullItem {
        /// The field.
        field: String,
        /// The row.
        row: usize,
    },
    /// A JSON value that is too long.
    #[error("the length ({length}) of json field ({field}) exceeds max length ({limit}): invalid parameter")]
    JsonTooLong {
        /// The field.
        field: String,
        /// Bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not JSON.
    #[error("the {row}th value of json field ({field}) is not valid: {reason}: invalid parameter")]
    Json {
        /// The field.
        field: String,
        /// The row.
        row: usize,
        /// What is wrong.
        reason: String,
    },
}

/// What Milvus calls a field of a type, before the word "field".
fn kind(data_type: DataType) -> &'static str {
    match data_type {
        DataType::FloatVector => "float vector ",
        DataType::VarChar => "varchar ",
        DataType::Json => "json ",
        DataType::Array => "array ",
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float
        | DataType::Double => "",
    }
}

/// What Milvus calls the values of a type.
fn values_of(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "bool array",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int array",
        DataType::Int64 => "long int array",
        DataType::Float => "float32 array",
        DataType::Double => "float64(double) array",
        DataType::VarChar => "string array",
        DataType::Json => "json array",
        DataType::Array => "array of arrays",
        DataType::FloatVector => "float vector",
    }
}

/// What Milvus calls the items of an Array.
fn item(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "bool",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int",
        DataType::Int64 => "int64",
        DataType::Float => "float",
        DataType::Double => "double",
        DataType::VarChar => "string",
        DataType::Json | DataType::Array | DataType::FloatVector => "unknown",
    }
}
