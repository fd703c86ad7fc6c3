//! Result coercion, written straight into the response: [`Projector`].
//!
//! Values become bytes without a tree in between. A field error makes the nearest nullable parent null: what was
//! written since that parent began is cut off again. See <https://spec.graphql.org/October2021/#sec-Value-Completion> and
//! <https://spec.graphql.org/October2021/#sec-Handling-Field-Errors>.

use serde_json::Value;

use super::{
    forward::{Keys, typename_key},
    guard::{Asking, find, payload_value},
    leaf,
    projected::{Projected, Resolved, Upstream},
    selection::{Abstract, Field, Kind, ParentField, RootSelection, Selection, Shape, Source},
};
use crate::{ErrorCode, Event, GraphQLError, JsonObject, Malformed, PathSegment};

/// Writes the `data` of one response, and collects its field errors.
#[derive(Debug)]
pub(super) struct Projector<'a> {
    out: Vec<u8>,
    errors: Vec<GraphQLError>,
    /// The arguments of the root field, for `@from(argument)`, and who asks.
    asking: Asking<'a>,
    /// What lies under the first object that is written: its fields take from here what that object lacks.
    under: Option<&'a JsonObject>,
    /// Set while a value of another GraphQL API is written.
    upstream: Option<Reading>,
}

/// How a value is read whose keys are response keys already.
#[derive(Debug)]
struct Reading {
    /// What keys begin with that the client did not ask for.
    private: String,
    told: Upstream,
}

/// A value was null, or failed, where the type allows no null: its parent becomes null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nulled;

/// Where in the response a value goes.
struct Place<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
    /// The object type and the field that the value belongs to.
    owner: &'a str,
    field: &'a Field,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Index(usize),
    Key(&'a str),
}

impl<'a> Projector<'a> {
    /// Begins a response of about this many bytes.
    pub(super) fn new(asking: Asking<'a>, length: usize) -> Self {
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(DATA);
        Self { out, errors: Vec::new(), asking, under: None, upstream: None }
    }

    /// Uses the arguments of another root field from here on.
    pub(super) const fn set_arguments(&mut self, arguments: &'a JsonObject) {
        self.asking.arguments = arguments;
    }

    /// Writes bytes that are JSON already.
    pub(super) fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Adds an error, unless there are too many.
    pub(super) fn push(&mut self, error: GraphQLError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// Writes key and value of a root field that an event feeds.
    ///
    /// # Errors
    ///
    /// The payload's outer shape is not the field's: there is nothing to project.
    pub(super) fn event(
        &mut self,
        root: &RootSelection,
        event: &Event,
    ) -> Result<Result<(), Nulled>, Malformed> {
        let place = self.root(root);
        let shape = &root.field.shape;
        match (&shape.kind, event.json(), event.text()) {
            (Kind::List(_), Some(json), _) if !json.is_array() => {
                Err(Malformed(format!("payload of {}.{} is not a list", root.parent, root.field.name)))
            }
            (Kind::Abstract(_) | Kind::Object(_), Some(json), _) if !json.is_object() => {
                Err(Malformed(format!("payload of {}.{} is not an object", root.parent, root.field.name)))
            }
            (Kind::Abstract(_) | Kind::List(_) | Kind::Object(_), None, _) => {
                Err(Malformed(format!("payload of {}.{} is text, not JSON", root.parent, root.field.name)))
            }
            (_, Some(json), _) => Ok(self.value(shape, json, &place)),
            (kind, None, text) => {
                let written = leaf::write_text(&mut self.out, kind, text.unwrap_or_default());
                Ok(self.leaf(written, shape, &place))
            }
        }
    }

    /// Writes key and value of a root field for which a value was loaded after an event.
    pub(super) fn loaded(
        &mut self,
        root: &RootSelection,
        value: &Value,
        event: &'a Event,
    ) -> Result<(), Nulled> {
        let place = self.root(root);
        if value.is_object() {
            self.under = event.json().and_then(Value::as_object);
        }
        self.value(&root.field.shape, value, &place)
    }

    /// Writes key and value of a root field that a resolver feeds.
    pub(super) fn resolved(
        &mut self,
        root: &RootSelection,
        value: Result<Resolved, GraphQLError>,
    ) -> Result<(), Nulled> {
        let place = self.root(root);
        match value {
            Ok(Resolved::Payload(value)) => self.value(&root.field.shape, &value, &place),
            Ok(Resolved::Projected(projected)) => self.projected(root, projected, &place),
            Err(mut error) => {
                if error.path.is_empty() {
                    error.path = place.path();
                }
                self.push(error);
                self.null(&root.field.shape)
            }
        }
    }

    /// Writes the value of another GraphQL API, and tells what failed there.
    fn projected(
        &mut self,
        root: &RootSelection,
        projected: Projected,
        place: &Place<'_>,
    ) -> Result<(), Nulled> {
        let told = Upstream::new(root, projected.errors);
        self.upstream = Some(Reading { private: root.private_prefix().to_owned(), told });
        let written = self.value(&root.field.shape, &projected.value, place);
        let errors = self.upstream.take().map(|reading| reading.told.tell(root));
        errors.into_iter().flatten().for_each(|error| self.push(error));
        written
    }

    /// Ends the response after the last root field: `{"data":{…},"errors":[…]}`, or `{"data":null,…}`.
    pub(super) fn finish(mut self, data: Result<(), Nulled>) -> Vec<u8> {
        match data {
            Ok(()) => self.out.push(b'}'),
            Err(Nulled) => {
                self.out.truncate(DATA.len() - 1);
                self.out.extend_from_slice(b"null");
            }
        }
        if !self.errors.is_empty() {
            self.out.extend_from_slice(b",\"errors\":");
            leaf::write_json(&mut self.out, &self.errors);
        }
        self.out.push(b'}');
        self.out
    }

    fn root<'r>(&mut self, root: &'r RootSelection) -> Place<'r> {
        self.raw(root.field.key.json().as_bytes());
        Place {
            parent: None,
            step: Step::Key(root.field.key.name()),
            owner: &root.parent,
            field: &root.field,
        }
    }

    fn value(&mut self, shape: &Shape, value: &Value, place: &Place<'_>) -> Result<(), Nulled> {
        if value.is_null() {
            return self.missing(shape, place);
        }
        let start = self.out.len();
        let written = match &shape.kind {
            Kind::Object(selection) => match value {
                Value::Object(object) => self.object(selection, object, Keys::OWN, place),
                other => self.fail(place, leaf::misfit(&selection.type_name, other)),
            },
            Kind::Abstract(ty) => match value {
                Value::Object(object) => self.concrete(ty, object, place),
                other => self.fail(place, leaf::misfit(&ty.name, other)),
            },
            Kind::List(item) => self.list(item, value, place),
            kind => match leaf::write(&mut self.out, kind, value) {
                Ok(()) => return Ok(()),
                Err(message) => self.fail(place, message),
            },
        };
        if written.is_err() {
            self.out.truncate(start);
            return self.null(shape);
        }
        Ok(())
    }

    fn object(
        &mut self,
        selection: &Selection,
        object: &JsonObject,
        keys: Keys,
        parent: &Place<'_>,
    ) -> Result<(), Nulled> {
        let (asking, under) = (self.asking, self.under.take());
        self.out.push(b'{');
        for (index, field) in selection.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.raw(field.key.json().as_bytes());
            if matches!(field.source, Source::Typename) {
                leaf::write_json(&mut self.out, &*selection.type_name);
                continue;
            }
            let step = Step::Key(field.key.name());
            let place = Place { parent: Some(parent), step, owner: &selection.type_name, field };
            if !field.guards.is_empty()
                && let Err(error) = self.check(field, (object, under), keys, &place)
            {
                self.deny(error, &place)?;
                continue;
            }
            let value = match &self.upstream {
                None => layered(&field.source, (object, under), asking.arguments),
                Some(reading) => find(object, &keys.selected(&reading.private, field.key.name())),
            };
            self.value(&field.shape, value.unwrap_or(&Value::Null), &place)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Asks every guard of a field, before anything is known of its value.
    fn check(
        &mut self,
        field: &Field,
        layers: Layers<'_>,
        keys: Keys,
        place: &Place<'_>,
    ) -> Result<(), GraphQLError> {
        let asking = self.asking;
        let private = self.upstream.as_ref().map(|reading| reading.private.as_str());
        let parent = |field: &ParentField| match private {
            None => layered(&field.source, layers, asking.arguments),
            Some(private) => layers.0.get(&keys.parent(private, &field.name)),
        };
        let decision = field.guards.iter().try_for_each(|guard| guard.check(asking, &parent));
        if let Some(reading) = &mut self.upstream {
            reading.told.decided(|| place.path(), decision.is_ok());
        }
        decision
    }

    fn deny(&mut self, error: GraphQLError, place: &Place<'_>) -> Result<(), Nulled> {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(GraphQLError { path: place.path(), ..error });
        }
        self.null(&place.field.shape)
    }

    /// The type is what the object's `__typename` says, or the only possible one if it says nothing.
    fn concrete(&mut self, ty: &Abstract, object: &JsonObject, place: &Place<'_>) -> Result<(), Nulled> {
        let name = match &self.upstream {
            None => object.get("__typename").or_else(|| self.under?.get("__typename")),
            Some(reading) => object.get(&typename_key(&reading.private)),
        };
        let of = match (name, &*ty.types) {
            (None | Some(Value::Null), [_]) => Some(0),
            (Some(Value::String(name)), types) => {
                types.iter().position(|selection| *selection.type_name == **name)
            }
            _ => None,
        };
        match of {
            Some(of) => self.object(&ty.types[of], object, ty.keys(of), place),
            None => self.fail(
                place,
                format!(
                    "The type of {} is unknown: \"__typename\" must name one of its object types.",
                    ty.name
                ),
            ),
        }
    }

    fn list(&mut self, item: &Shape, value: &Value, place: &Place<'_>) -> Result<(), Nulled> {
        let Value::Array(items) = value else {
            let message = format!("Expected a list for field {}.{}.", place.owner, place.field.name);
            return self.fail(place, message);
        };
        self.out.push(b'[');
        for (index, value) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let at = Place { parent: Some(place), step: Step::Index(index), ..*place };
            self.value(item, value, &at)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn leaf(&mut self, written: Result<(), String>, shape: &Shape, place: &Place<'_>) -> Result<(), Nulled> {
        match written {
            Ok(()) => Ok(()),
            Err(message) => self.fail(place, message).or_else(|Nulled| self.null(shape)),
        }
    }

    #[cold]
    fn fail(&mut self, place: &Place<'_>, message: String) -> Result<(), Nulled> {
        if self.errors.len() < MAX_ERRORS {
            // Without locations: an audience shares these bytes between documents that differ in white space.
            let error = GraphQLError::new(ErrorCode::FieldError, message);
            self.errors.push(GraphQLError { path: place.path(), ..error });
        }
        Err(Nulled)
    }

    fn missing(&mut self, shape: &Shape, place: &Place<'_>) -> Result<(), Nulled> {
        if !shape.nullable {
            let upstream = self.upstream.as_ref();
            if upstream.is_some_and(|reading| reading.told.explains(&place.path())) {
                return Err(Nulled);
            }
            let (owner, name) = (place.owner, &place.field.name);
            return self.fail(place, format!("Cannot return null for non-nullable field {owner}.{name}."));
        }
        self.null(shape)
    }

    fn null(&mut self, shape: &Shape) -> Result<(), Nulled> {
        if !shape.nullable {
            return Err(Nulled);
        }
        self.raw(b"null");
        Ok(())
    }
}

/// An object, and one that may lie under it.
type Layers<'v> = (&'v JsonObject, Option<&'v JsonObject>);

/// The value of a field in the first layer that has it.
fn layered<'v>(source: &Source, layers: Layers<'v>, arguments: &'v JsonObject) -> Option<&'v Value> {
    let (object, under) = layers;
    payload_value(source, object, arguments).or_else(|| payload_value(source, under?, arguments))
}

impl Place<'_> {
    fn path(&self) -> Vec<PathSegment> {
        let mut path: Vec<_> = std::iter::successors(Some(self), |place| place.parent)
            .map(|place| match place.step {
                Step::Index(index) => PathSegment::Index(index),
                Step::Key(key) => PathSegment::Field(key.to_owned()),
            })
            .collect();
        path.reverse();
        path
    }
}

/// How every response begins; its last byte is the brace that null takes the place of.
const DATA: &[u8] = b"{\"data\":{";

/// Field errors of one response at most; what is beyond is null without an explanation.
pub(super) const MAX_ERRORS: usize = 100;
