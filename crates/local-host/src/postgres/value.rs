//! Values on their way from Postgres.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use crate::bindings::postgres::{Column, DbDataType, DbValue, Error, Interval};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names and types of a row's columns.
pub(super) fn columns(row: &Row) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column { name: column.name().to_owned(), data_type: data_type(column.type_()) })
        .collect()
}

/// A row's values.
pub(super) fn row(row: &Row) -> Result<Vec<DbValue>, Error> {
    (0..row.len())
        .map(|index| match row.try_get::<_, Option<Value>>(index) {
            Ok(value) => Ok(value.map_or(DbValue::DbNull, |value| value.0)),
            Err(error) => Err(Error::ValueConversionFailed(format!("{error:?}"))),
        })
        .collect()
}

fn data_type(ty: &Type) -> DbDataType {
    match *ty {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(ty.name().to_owned()),
    }
}

/// A value that is not NULL, of any type.
struct Value(DbValue);

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(match *ty {
            Type::BOOL => DbValue::Boolean(bool::from_sql(ty, raw)?),
            Type::BYTEA => DbValue::Binary(raw.to_vec()),
            Type::FLOAT4 => DbValue::Floating32(f32::from_sql(ty, raw)?),
            Type::FLOAT8 => DbValue::Floating64(f64::from_sql(ty, raw)?),
            Type::INT2 => DbValue::Int16(i16::from_sql(ty, raw)?),
            Type::INT4 => DbValue::Int32(i32::from_sql(ty, raw)?),
            Type::INT8 => DbValue::Int64(i64::from_sql(ty, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbValue::Str(String::from_sql(ty, raw)?),
            Type::TIMESTAMP => datetime(NaiveDateTime::from_sql(ty, raw)?)?,
            Type::DATE => DbValue::Date(date(NaiveDate::from_sql(ty, raw)?)?),
            Type::TIME => DbValue::Time(time(NaiveTime::from_sql(ty, raw)?)?),
            Type::UUID => DbValue::Uuid(Uuid::from_sql(ty, raw)?.to_string()),
            Type::JSONB => DbValue::Jsonb(serde_json::to_vec(&serde_json::Value::from_sql(ty, raw)?)?),
            Type::INT4_ARRAY => DbValue::ArrayInt32(Vec::from_sql(ty, raw)?),
            Type::INT8_ARRAY => DbValue::ArrayInt64(Vec::from_sql(ty, raw)?),
            Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
                DbValue::ArrayStr(Vec::from_sql(ty, raw)?)
            }
            Type::INTERVAL => DbValue::Interval(interval(raw)?),
            // Spin 4.1 names them in its interface and then fails to read them: what works here must work there.
            Type::TIMESTAMPTZ => {
                return Err("timestamptz cannot be read; cast it to timestamp or bigint".into());
            }
            Type::NUMERIC | Type::NUMERIC_ARRAY | Type::INT4_RANGE | Type::INT8_RANGE | Type::NUM_RANGE => {
                return Err(format!("local-host does not support the type {}", ty.name()).into());
            }
            _ => DbValue::Unsupported(raw.to_vec()),
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn date(date: NaiveDate) -> Result<(i32, u8, u8), Failure> {
    Ok((date.year(), date.month().try_into()?, date.day().try_into()?))
}

fn time(time: NaiveTime) -> Result<(u8, u8, u8, u32), Failure> {
    Ok((time.hour().try_into()?, time.minute().try_into()?, time.second().try_into()?, time.nanosecond()))
}

fn datetime(value: NaiveDateTime) -> Result<DbValue, Failure> {
    let (year, month, day) = date(value.date())?;
    let (hour, minute, second, nano) = time(value.time())?;
    Ok(DbValue::Datetime((year, month, day, hour, minute, second, nano)))
}

fn interval(raw: &[u8]) -> Result<Interval, Failure> {
    let raw = <&[u8; 16]>::try_from(raw)?;
    let [m0, m1, m2, m3, m4, m5, m6, m7, days @ .., o0, o1, o2, o3] = *raw;
    Ok(Interval {
        micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
        days: i32::from_be_bytes(days),
        months: i32::from_be_bytes([o0, o1, o2, o3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: &Type, raw: &[u8]) -> Result<String, Failure> {
        Value::from_sql(ty, raw).map(|value| format!("{:?}", value.0))
    }

    #[test]
    fn the_servers_binary_form_is_read() {
        for (ty, raw, expected) in [
            (Type::BOOL, &[1][..], "DbValue::Boolean(true)"),
            (Type::INT8, &[0xff; 8], "DbValue::Int64(-1)"),
            (Type::VARCHAR, b"abc", "DbValue::Str(\"abc\")"),
            (Type::BYTEA, &[0, 1], "DbValue::Binary([0, 1])"),
            (Type::DATE, &[0, 0, 0, 1], "DbValue::Date((2000, 1, 2))"),
            (Type::TIMESTAMP, &[0; 8], "DbValue::Datetime((2000, 1, 1, 0, 0, 0, 0))"),
            (Type::TIME, &[0, 0, 0, 0, 0, 0, 0, 1], "DbValue::Time((0, 0, 0, 1000))"),
            (Type::JSONB, b"\x01[1, 2]", "DbValue::Jsonb([91, 49, 44, 50, 93])"),
            (
                Type::INTERVAL,
                &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
                "DbValue::Interval(Interval { micros: 1, days: 2, months: 3 })",
            ),
            (Type::INET, &[7], "DbValue::Unsupported([7])"),
        ] {
            assert_eq!(read(&ty, raw).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_a_wrong_value() {
        for (ty, raw) in [
            (Type::NUMERIC, &[0; 8][..]),
            (Type::TIMESTAMPTZ, &[0; 8]),
            (Type::INT8, &[0; 4]),
            (Type::INTERVAL, &[0; 15]),
            (Type::TEXT, &[0xff]),
        ] {
            assert!(read(&ty, raw).is_err(), "{ty}");
        }
    }
}
