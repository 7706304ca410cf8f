//! What `execute` gives back: Redis's answers in the few cases that the interface has.

use redis::Value;

use crate::bindings::redis::RedisResult;

/// `value` as a list; arrays and sets within it become part of the list.
pub(super) fn flatten(value: Value) -> Result<Vec<RedisResult>, String> {
    let mut results = Vec::new();
    append(value, &mut results)?;
    Ok(results)
}

fn append(value: Value, results: &mut Vec<RedisResult>) -> Result<(), String> {
    results.push(match value {
        Value::Nil => RedisResult::Nil,
        Value::Int(number) => RedisResult::Int64(number),
        Value::Boolean(truth) => RedisResult::Int64(truth.into()),
        Value::Okay => RedisResult::Status("OK".to_owned()),
        Value::SimpleString(status) => RedisResult::Status(status),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => RedisResult::Binary(bytes),
        Value::Double(number) => RedisResult::Binary(number.to_string().into_bytes()),
        Value::Array(values) | Value::Set(values) => {
            return values.into_iter().try_for_each(|value| append(value, results));
        }
        Value::ServerError(error) => return Err(format!("the server answered with an error: {error:?}")),
        other => return Err(format!("the interface has no case for this answer of Redis: {other:?}")),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_answers_are_lists_of_one() {
        let one = |value| format!("{:?}", flatten(value).unwrap());
        assert_eq!(one(Value::Nil), "[RedisResult::Nil]");
        assert_eq!(one(Value::Okay), "[RedisResult::Status(\"OK\")]");
        assert_eq!(one(Value::SimpleString("PONG".into())), "[RedisResult::Status(\"PONG\")]");
        assert_eq!(one(Value::Int(-7)), "[RedisResult::Int64(-7)]");
        assert_eq!(one(Value::Boolean(true)), "[RedisResult::Int64(1)]");
        assert_eq!(one(Value::BulkString(vec![1])), "[RedisResult::Binary([1])]");
        assert_eq!(one(Value::Double(1.5)), format!("[RedisResult::Binary({:?})]", b"1.5"));
    }

    #[test]
    fn nested_answers_are_flattened() {
        let nested = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![Value::Nil, Value::Set(vec![Value::Int(2)])]),
            Value::Array(vec![]),
        ]);
        let flat = flatten(nested).unwrap();
        assert!(matches!(flat[..], [RedisResult::Int64(1), RedisResult::Nil, RedisResult::Int64(2)]));
        assert!(flatten(Value::Array(vec![])).unwrap().is_empty());
    }

    #[test]
    fn what_has_no_case_is_an_error() {
        assert!(flatten(Value::Map(vec![])).is_err());
        assert!(flatten(Value::Array(vec![Value::Map(vec![])])).is_err());
    }
}
