//! Values on their way to Postgres.

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::bindings::postgres::{Error, Interval, ParameterValue};

/// What the client takes for the `$n` of a statement.
pub(super) type Parameters = Vec<Box<dyn ToSql + Send + Sync>>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Converts all values, or says which one cannot be.
pub(super) fn to_sql(values: Vec<ParameterValue>) -> Result<Parameters, Error> {
    values.into_iter().map(convert).collect()
}

fn convert(value: ParameterValue) -> Result<Box<dyn ToSql + Send + Sync>, Error> {
    use ParameterValue as P;
    Ok(match value {
        P::Boolean(value) => Box::new(value),
        P::Int8(value) => Box::new(value),
        P::Int16(value) => Box::new(value),
        P::Int32(value) => Box::new(value),
        P::Int64(value) => Box::new(value),
        P::Floating32(value) => Box::new(value),
        P::Floating64(value) => Box::new(value),
        P::Str(value) => Box::new(value),
        P::Binary(value) => Box::new(value),
        P::Date(value) => Box::new(date(value)?),
        P::Time(value) => Box::new(time(value)?),
        P::Datetime((year, month, day, hour, minute, second, nano)) => {
            Box::new(NaiveDateTime::new(date((year, month, day))?, time((hour, minute, second, nano))?))
        }
        P::Timestamp(seconds) => Box::new(
            DateTime::from_timestamp(seconds, 0)
                .ok_or_else(|| bad(format!("invalid timestamp {seconds}")))?,
        ),
        P::Uuid(text) => {
            Box::new(Uuid::parse_str(&text).map_err(|error| bad(format!("invalid UUID {text}: {error}")))?)
        }
        P::Jsonb(bytes) => Box::new(
            serde_json::from_slice::<serde_json::Value>(&bytes)
                .map_err(|error| bad(format!("invalid JSON: {error}")))?,
        ),
        P::ArrayInt32(values) => Box::new(values),
        P::ArrayInt64(values) => Box::new(values),
        P::ArrayStr(values) => Box::new(values),
        P::Interval(value) => Box::new(SqlInterval(value)),
        P::DbNull => Box::new(Null),
        P::Decimal(_) | P::ArrayDecimal(_) => return Err(unsupported("decimals")),
        P::RangeInt32(_) | P::RangeInt64(_) | P::RangeDecimal(_) => return Err(unsupported("ranges")),
    })
}

fn date((year, month, day): (i32, u8, u8)) -> Result<NaiveDate, Error> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .ok_or_else(|| bad(format!("invalid date {year}-{month}-{day}")))
}

fn time((hour, minute, second, nano): (u8, u8, u8, u32)) -> Result<NaiveTime, Error> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
        .ok_or_else(|| bad(format!("invalid time {hour}:{minute}:{second} and {nano} ns")))
}

fn bad(message: String) -> Error {
    Error::BadParameter(message)
}

fn unsupported(what: &str) -> Error {
    Error::ValueConversionFailed(format!("local-host does not support {what} as parameters"))
}

/// NULL for a parameter of whatever type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Failure> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// An `interval`, which the client has no type for.
#[derive(Debug)]
struct SqlInterval(Interval);

impl ToSql for SqlInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: ParameterValue, ty: &Type) -> Vec<u8> {
        let mut out = BytesMut::new();
        convert(value).unwrap().to_sql_checked(ty, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn values_have_the_servers_binary_form() {
        use ParameterValue as P;
        assert_eq!(bytes(P::Boolean(true), &Type::BOOL), [1]);
        assert_eq!(bytes(P::Int64(-1), &Type::INT8), [0xff; 8]);
        assert_eq!(bytes(P::Str("é".into()), &Type::TEXT), "é".as_bytes());
        assert_eq!(bytes(P::Date((2000, 1, 2)), &Type::DATE), 1_i32.to_be_bytes());
        assert_eq!(bytes(P::Time((0, 0, 1, 1000)), &Type::TIME), 1_000_001_i64.to_be_bytes());
        assert_eq!(
            bytes(P::Datetime((2000, 1, 1, 0, 0, 1, 0)), &Type::TIMESTAMP),
            1_000_000_i64.to_be_bytes()
        );
        assert_eq!(bytes(P::Timestamp(946_684_801), &Type::TIMESTAMPTZ), 1_000_000_i64.to_be_bytes());
        assert_eq!(bytes(P::Jsonb(b"[ 1 ]".into()), &Type::JSONB), b"\x01[1]");
        assert_eq!(
            bytes(P::Interval(Interval { micros: 1, days: 2, months: 3 }), &Type::INTERVAL),
            [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]
        );
    }

    #[test]
    fn null_is_for_every_type() {
        for ty in [Type::TEXT, Type::INT4, Type::NUMERIC] {
            let null = convert(ParameterValue::DbNull).unwrap();
            assert!(matches!(null.to_sql_checked(&ty, &mut BytesMut::new()), Ok(IsNull::Yes)));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let value = convert(ParameterValue::Int32(1)).unwrap();
        assert!(value.to_sql_checked(&Type::INT8, &mut BytesMut::new()).is_err());
    }

    #[test]
    fn what_no_value_can_be_made_of_is_an_error() {
        use ParameterValue as P;
        for bad in [
            P::Date((2025, 2, 29)),
            P::Time((24, 0, 0, 0)),
            P::Uuid("x".into()),
            P::Jsonb(b"{".into()),
            P::Timestamp(i64::MAX),
        ] {
            assert!(matches!(convert(bad), Err(Error::BadParameter(_))));
        }
        for unsupported in [P::Decimal("1".into()), P::RangeInt32((None, None))] {
            assert!(matches!(convert(unsupported), Err(Error::ValueConversionFailed(_))));
        }
    }
}
