//! How an item ended.

use capnp::text;
use froben_model::{ErrorClass, ItemError, ItemOutcome, OperatorId, limits};

use super::{Error, read_text, read_value, write_value};
use crate::common_capnp::{self, item_error, item_outcome};

pub fn read_class(class: common_capnp::ErrorClass) -> ErrorClass {
    match class {
        common_capnp::ErrorClass::Timeout => ErrorClass::Timeout,
        common_capnp::ErrorClass::Disconnected => ErrorClass::Disconnected,
        common_capnp::ErrorClass::OutOfMemory => ErrorClass::OutOfMemory,
        common_capnp::ErrorClass::InvalidResult => ErrorClass::InvalidResult,
        common_capnp::ErrorClass::WorkerFailed => ErrorClass::WorkerFailed,
        common_capnp::ErrorClass::NoCapacity => ErrorClass::NoCapacity,
        common_capnp::ErrorClass::Cancelled => ErrorClass::Cancelled,
        common_capnp::ErrorClass::BadRequest => ErrorClass::BadRequest,
    }
}

pub fn write_class(class: ErrorClass) -> common_capnp::ErrorClass {
    match class {
        ErrorClass::Timeout => common_capnp::ErrorClass::Timeout,
        ErrorClass::Disconnected => common_capnp::ErrorClass::Disconnected,
        ErrorClass::OutOfMemory => common_capnp::ErrorClass::OutOfMemory,
        ErrorClass::InvalidResult => common_capnp::ErrorClass::InvalidResult,
        ErrorClass::WorkerFailed => common_capnp::ErrorClass::WorkerFailed,
        ErrorClass::NoCapacity => common_capnp::ErrorClass::NoCapacity,
        ErrorClass::Cancelled => common_capnp::ErrorClass::Cancelled,
        ErrorClass::BadRequest => common_capnp::ErrorClass::BadRequest,
    }
}

pub fn read_item_error(reader: item_error::Reader<'_>) -> Result<ItemError, Error> {
    let class = reader
        .get_class()
        .map_err(Error::unknown("an error class"))?;
    let message = read_text(
        "an error's message",
        reader.get_message()?,
        limits::TEXT_BYTES,
    )?;
    Ok(ItemError {
        class: read_class(class),
        message: limits::one_line(&message),
        operator: read_operator(reader.get_operator()?)?,
    })
}

pub fn write_item_error(error: &ItemError, mut builder: item_error::Builder<'_>) {
    let ItemError {
        class,
        message,
        operator,
    } = error;
    builder.set_class(write_class(*class));
    builder.set_message(message);
    if let Some(operator) = operator {
        builder.set_operator(operator.as_str());
    }
}

pub fn read_outcome(reader: item_outcome::Reader<'_>) -> Result<ItemOutcome, Error> {
    match reader
        .which()
        .map_err(Error::unknown("an item's outcome"))?
    {
        item_outcome::Value(value) => Ok(Ok(read_value(value?)?)),
        item_outcome::Error(error) => Ok(Err(read_item_error(error?)?)),
    }
}

pub fn write_outcome(outcome: &ItemOutcome, builder: item_outcome::Builder<'_>) {
    match outcome {
        Ok(value) => write_value(value, builder.init_value()),
        Err(error) => write_item_error(error, builder.init_error()),
    }
}

fn read_operator(text: text::Reader<'_>) -> Result<Option<OperatorId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = read_text("an operator's name", text, limits::TEXT_BYTES)?;
    Ok(Some(OperatorId::new(name)?))
}

#[cfg(test)]
mod tests {
    use froben_model::Value;

    use super::*;

    fn round_trip(outcome: &ItemOutcome) -> Result<ItemOutcome, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_outcome(outcome, message.init_root());
        read_outcome(message.get_root_as_reader()?)
    }

    #[test]
    fn every_class_round_trips() {
        for class in ErrorClass::ALL {
            for operator in [None, Some(OperatorId::new("op").unwrap())] {
                let outcome = Err(ItemError {
                    class,
                    message: "out of paper".into(),
                    operator,
                });
                assert_eq!(round_trip(&outcome).unwrap(), outcome);
            }
        }
        assert_eq!(round_trip(&Ok(Value::Int(1))).unwrap(), Ok(Value::Int(1)));
    }

    #[test]
    fn a_message_is_one_short_line() {
        let with = |message: String| {
            Err(ItemError {
                class: ErrorClass::WorkerFailed,
                message,
                operator: None,
            })
        };
        let read = round_trip(&with("a\nb".into())).unwrap();
        assert_eq!(read, with("a b".into()));
        assert!(round_trip(&with("x".repeat(limits::TEXT_BYTES + 1))).is_err());
    }

    #[test]
    fn an_unknown_class_is_refused() {
        // A newer peer's class: the ninth of a closed list of eight.
        let mut message = capnp::message::Builder::new_default();
        write_item_error(
            &ItemError {
                class: ErrorClass::BadRequest,
                message: String::new(),
                operator: None,
            },
            message.init_root(),
        );
        let mut bytes = capnp::serialize::write_message_to_words(&message);
        let at = bytes
            .iter()
            .rposition(|&byte| byte == ErrorClass::ALL.len() as u8 - 1)
            .unwrap();
        bytes[at] += 1;
        let message =
            capnp::serialize::read_message(bytes.as_slice(), capnp::message::ReaderOptions::new())
                .unwrap();
        let error = read_item_error(message.get_root().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Unknown { form: 8, .. }), "{error:?}");
    }
}
