//! Items in the order in which they come.

use mlua::{Lua, Value as LuaValue};

use super::{Bridge, NOTHING, Results, number, results};
use crate::convert::{to_lua, whole};
use crate::host::{Arrived, Next, Refusal};

impl Bridge {
    pub(super) fn join(&self, stream: &LuaValue, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation);
        let call = call.map_err(|refusal| refusal.of("ctx:stream: appended to the list"))?;
        self.host().join_stream(stream_number(stream)?, call)?;
        Ok(NOTHING)
    }

    /// The next item of a stream: its delegation's position, its own, and its outcome as
    /// [`Bridge::outcome_of`] gives it; 0 if it has not come yet; nothing if there is none to come.
    pub(super) fn take(&self, lua: &Lua, stream: &LuaValue) -> Results {
        let stream = stream_number(stream)?;
        let mut host = self.host();
        let taken = match host.next_item(stream) {
            Next::Over => return Ok(NOTHING),
            Next::Later => return number(0.0),
            Next::Item(taken) => taken,
        };
        let arrived = host.outcome(taken.call, taken.index)?;
        let [good, value, operator] = self.outcome_of(lua, taken.index, arrived)?;
        let [position, index] = [taken.position as f64, f64::from(taken.index) + 1.0];
        let [position, index] = [position, index].map(LuaValue::Number);
        results([position, index, good, value, operator])
    }

    /// Whether an item is good, its value or its error, and whose it is. The prelude makes a table of
    /// them: it does so in a fraction of the time.
    pub(super) fn outcome_of(
        &self,
        lua: &Lua,
        index: u32,
        arrived: &Arrived,
    ) -> Result<[LuaValue; 3], Refusal> {
        let value = match &arrived.outcome {
            Ok(value) => {
                let what = format_args!("the value of item {}", index + 1);
                to_lua(lua, self.objects(), &what, value)?
            }
            Err(error) => {
                let err = lua.create_table_with_capacity(0, 4)?;
                err.raw_set("class", error.class.name())?;
                err.raw_set("message", error.message.as_str())?;
                err.raw_set("retryable", error.class.retryable())?;
                if let Some(operator) = &error.operator {
                    err.raw_set("operator", operator.as_str())?;
                }
                LuaValue::Table(err)
            }
        };
        let operator = match &arrived.operator {
            Some(operator) => LuaValue::String(lua.create_string(operator.as_str())?),
            None => LuaValue::Nil,
        };
        let good = LuaValue::Boolean(arrived.outcome.is_ok());
        Ok([good, value, operator])
    }
}

fn stream_number(value: &LuaValue) -> Result<usize, Refusal> {
    let number = whole(value).ok_or_else(|| "a stream was expected".to_owned())?;
    Ok(number as usize)
}
