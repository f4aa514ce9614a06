//! What has an end: how it is told from other objects, and what waiting for it gives.

use froben_model::CallId;
use mlua::{Lua, Value as LuaValue};

use super::{Bridge, NOTHING, Results, number, results};
use crate::convert::{Objects, sequence, text, to_lua, type_name, whole};
use crate::host::{Member, RaceStart, Refusal};
use crate::limits::MEMBERS;

impl Bridge {
    /// What an object that has an end stands for.
    pub(super) fn member(
        &self,
        value: &LuaValue,
        delegations_only: bool,
    ) -> Result<Member, Refusal> {
        let objects = self.objects();
        if let Some(table) = value.as_table() {
            let number = |key: &str| -> mlua::Result<u64> {
                let number: f64 = table.raw_get(key)?;
                Ok(number as u64)
            };
            if Objects::is(table, &objects.delegation) {
                return Ok(Member::Delegation(CallId(number("id")?)));
            }
            if !delegations_only && Objects::is(table, &objects.child) {
                return Ok(Member::Child(CallId(number("id")?)));
            }
            if !delegations_only && Objects::is(table, &objects.fiber) {
                return Ok(Member::Fiber(number("number")? as usize));
            }
        }
        let expected = match delegations_only {
            true => "a delegation",
            false => "a delegation, a fiber or a child",
        };
        Err(format!("{expected} was expected, got {}", self.name_of(value)).into())
    }

    /// What a value is, with the host's own objects by their names.
    pub(super) fn name_of(&self, value: &LuaValue) -> &'static str {
        let objects = self.objects();
        let is = |metatable| {
            let table = value.as_table();
            table.is_some_and(|table| Objects::is(table, metatable))
        };
        match () {
            () if is(&objects.delegation) => "a delegation",
            () if is(&objects.fiber) => "a fiber",
            () if is(&objects.child) => "a child",
            () if is(&objects.blob) => "a blob",
            () => type_name(value),
        }
    }

    /// The call behind a delegation object.
    pub(super) fn delegation(&self, value: &LuaValue) -> Result<CallId, Refusal> {
        match self.member(value, true)? {
            Member::Delegation(call) => Ok(call),
            Member::Child(_) | Member::Fiber(_) => Err("it is no delegation".to_owned().into()),
        }
    }

    /// Whether an object is over, what it is, and its number.
    pub(super) fn over(&self, lua: &Lua, object: &LuaValue) -> Results {
        let member = self.member(object, false)?;
        let over = self.host().over(member)?.is_some();
        let (what, number) = match member {
            Member::Delegation(call) => ("delegation", call.0 as f64),
            Member::Child(call) => ("child", call.0 as f64),
            Member::Fiber(number) => ("fiber", number as f64),
        };
        results([
            LuaValue::Boolean(over),
            LuaValue::String(lua.create_string(what)?),
            LuaValue::Number(number),
        ])
    }

    /// The position of the first that is over; or 0 and the race to wait for.
    pub(super) fn race(&self, list: &LuaValue) -> Results {
        let members = self.list("ctx:race", list, false)?;
        if members.is_empty() {
            return Err("ctx:race: the list is empty: nothing would ever win"
                .to_owned()
                .into());
        }
        let start = self.host().race(members);
        let (position, race) = match start.map_err(|refusal| refusal.of("ctx:race"))? {
            RaceStart::Won(position) => (position, 0),
            RaceStart::Running(race) => (0, race),
        };
        results([position, race].map(|number| LuaValue::Number(number as f64)))
    }

    pub(super) fn winner(&self, race: &LuaValue) -> Results {
        let race = whole(race).unwrap_or_default() as usize;
        let position = self.host().finish_race(race);
        let position = position.ok_or_else(|| "ctx:race: nobody has won".to_owned())?;
        number(position as f64)
    }

    /// What `child:await()` gives.
    pub(super) fn child_result(&self, lua: &Lua, call: &LuaValue) -> Results {
        let call = CallId(whole(call).unwrap_or_default());
        let host = self.host();
        let outcome = host.child_outcome(call)?;
        let result = lua.create_table_with_capacity(0, 3)?;
        result.raw_set("ok", outcome.is_ok())?;
        match outcome {
            Ok(value) => {
                let what = format_args!("the output of child {call}");
                result.raw_set("value", to_lua(lua, self.objects(), &what, value)?)?;
            }
            Err(failure) => {
                let err = lua.create_table_with_capacity(0, 2)?;
                err.raw_set("code", failure.code.as_str())?;
                err.raw_set("message", failure.message.as_str())?;
                result.raw_set("err", err)?;
            }
        }
        results([LuaValue::Table(result)])
    }

    /// An outcome of a delegation that is over, as [`Bridge::outcome_of`] gives it, and how many it has.
    pub(super) fn outcome(&self, lua: &Lua, delegation: &LuaValue, position: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        let host = self.host();
        let count = host.items(call)?;
        let index = whole(position).unwrap_or_default().saturating_sub(1) as u32;
        let [good, value, operator] = self.outcome_of(lua, index, host.outcome(call, index)?)?;
        results([good, value, operator, LuaValue::Number(count as f64)])
    }

    /// Holds a list against being one of delegations, or of anything that has an end.
    pub(super) fn members(
        &self,
        verb: &LuaValue,
        list: &LuaValue,
        delegations_only: &LuaValue,
    ) -> Results {
        let delegations_only = *delegations_only == LuaValue::Boolean(true);
        self.list(&text(verb)?, list, delegations_only)?;
        Ok(NOTHING)
    }

    pub(super) fn list(
        &self,
        verb: &str,
        list: &LuaValue,
        delegations_only: bool,
    ) -> Result<Vec<Member>, Refusal> {
        let what = match delegations_only {
            true => "delegations",
            false => "delegations, fibers and children",
        };
        let LuaValue::Table(table) = list else {
            let got = type_name(list);
            return Err(format!("{verb}: a list of {what} was expected, got {got}").into());
        };
        if self.member(list, false).is_ok() {
            let single = self.name_of(list).trim_start_matches("a ");
            return Err(format!("{verb}: write {{ }} around a single {single}").into());
        }
        let elements = sequence(table, MEMBERS).map_err(|why| format!("{verb}: {why}"))?;
        let members = elements.iter().enumerate().map(|(index, element)| {
            let member = self.member(element, delegations_only);
            member.map_err(|refusal| refusal.of(&format!("{verb}: at position {}", index + 1)))
        });
        members.collect()
    }
}
