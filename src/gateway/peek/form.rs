//! Walking through forms whose every field is looked at, by the same tables as JSON objects.

use crate::gateway::multipart::{Form, Part};
use crate::gateway::peek::table::{Found, Rule, Table};
use crate::gateway::peek::{BadRequest, N_MAX};

/// A kind of form.
pub(super) trait Fields<'b> {
    /// The names that matter in it; `image[]` is `image` there.
    fn table() -> &'static Table;

    /// The names that may stand several times.
    const REPEATABLE: &'static [&'static str];

    /// Takes a field whose rule is to be read.
    fn read(
        &mut self,
        form: &Form<'b>,
        part: &Part<'b>,
        name: &'static str,
    ) -> Result<(), BadRequest>;

    /// Is told of a field that makes the input unbounded.
    fn unbounded(&mut self) {}
}

/// Gives every field of a form to `fields`.
pub(super) fn walk<'b, F: Fields<'b>>(form: &Form<'b>, fields: &mut F) -> Result<(), BadRequest> {
    form.once(F::REPEATABLE)?;
    for part in form.parts() {
        let plain = part.name.strip_suffix("[]").unwrap_or(part.name);
        // A list of what is no list is read as the thing itself by some, beside the real one.
        let is_list = plain != part.name && !F::REPEATABLE.contains(&part.name);
        let index = match F::table().find(plain) {
            Found::Exact(index) if is_list => {
                let ((name, _), sent) = (F::table().row(index), part.name);
                return Err(BadRequest::at(
                    sent,
                    format!("{sent} is read as `{name}` by some upstreams: write `{name}`."),
                ));
            }
            Found::Exact(index) => index,
            Found::Lookalike(index) => {
                let (name, _) = F::table().row(index);
                let sent = part.name;
                return Err(BadRequest::at(
                    sent,
                    format!(
                        "{sent} would be read as `{name}` by some upstreams: write `{name}`, or remove it."
                    ),
                ));
            }
            Found::Unknown => continue,
        };
        let (name, rule) = F::table().row(index);
        match rule {
            Rule::Read => fields.read(form, part, name)?,
            Rule::Guard => {}
            _ if matches!(form.bytes(part), b"" | b"null" | b"false") => {}
            Rule::Unbounded => fields.unbounded(),
            Rule::Object => {
                return Err(BadRequest::at(
                    name,
                    format!("{name} is not accepted in a form: send the content itself."),
                ));
            }
            Rule::Refuse(why) => {
                return Err(BadRequest::at(name, format!("{name} {}", why.text())));
            }
        }
    }
    Ok(())
}

/// A whole number from 1 to [`N_MAX`]; empty is absent.
pub(super) fn positive(
    form: &Form<'_>,
    part: &Part<'_>,
    max: u64,
) -> Result<Option<u64>, BadRequest> {
    let text = form.text(part)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        _ if text.is_empty() => Ok(None),
        Ok(number) if is_plain && (1..=max.min(N_MAX)).contains(&number) => Ok(Some(number)),
        _ => Err(BadRequest::at(
            part.name,
            format!("{} must be a whole number from 1 to {max}.", part.name),
        )),
    }
}

/// True or false, as encoders write it.
pub(super) fn boolean(form: &Form<'_>, part: &Part<'_>) -> Result<bool, BadRequest> {
    match form.text(part)? {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" | "" => Ok(false),
        _ => Err(BadRequest::at(
            part.name,
            format!("{} must be true or false.", part.name),
        )),
    }
}

/// A word; empty is absent.
pub(super) fn word<'b>(form: &Form<'b>, part: &Part<'b>) -> Result<Option<&'b str>, BadRequest> {
    let text = form.text(part)?;
    Ok((!text.is_empty()).then_some(text))
}
