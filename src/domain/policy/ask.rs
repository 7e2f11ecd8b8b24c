//! A question to the policies, and their answer.
//!
//! Invariant: doubt denies. Cedar skips a `forbid` that it cannot evaluate, which would then allow; here any error is a no.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, Response, RestrictedExpression,
};

use super::facts::{Action, Principal, Question, Somebody};
use super::guardrails::{Compiled, Guardrails, PolicyRef, kind};
use super::schema;
use super::vocabulary::{self, Attribute, Kind, Value};

/// What the policies say to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes: these permit it, and nothing forbids it.
    Permitted(Vec<PolicyRef>),
    /// No: these forbid it.
    Forbidden(Vec<PolicyRef>),
    /// No: nothing forbids it, and nothing permits it either.
    NotPermitted,
    /// No: they cannot be relied on; why.
    Unusable(String),
}

impl Guardrails {
    /// Asks the policies. The built-in default permits everything except automatic approval.
    pub fn ask(&self, question: &Question) -> Answer {
        if question.action == Action::AutoApprove {
            return self.approval(question);
        }
        if self.is_default() {
            return Answer::Permitted(Vec::new());
        }
        self.answer(question, &self.compiled().all)
    }

    /// Whether a policy approves the request by itself: only policies whose scope is exactly `auto_approve` can, and every forbid
    /// counts. [`Answer::Permitted`] names them, in the order of their ids.
    fn approval(&self, question: &Question) -> Answer {
        match &self.compiled().automatic {
            Some(set) => self.answer(question, set),
            None => Answer::NotPermitted,
        }
    }

    fn answer(&self, question: &Question, set: &PolicySet) -> Answer {
        if let Some((file, why)) = self.broken() {
            return Answer::Unusable(format!("{file} cannot be relied on: {why}"));
        }
        let compiled = self.compiled();
        let (request, entities) = match facts(compiled, question) {
            Ok(facts) => facts,
            Err(why) => return Answer::Unusable(why),
        };
        told(
            compiled,
            set,
            &Authorizer::new().is_authorized(&request, set, &entities),
        )
    }
}

fn told(compiled: &Compiled, set: &PolicySet, response: &Response) -> Answer {
    let of_id = |id: &cedar_policy::PolicyId| compiled.by_id.get(AsRef::<str>::as_ref(id)).cloned();
    if let Some(error) = response.diagnostics().errors().next() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        let policy = of_id(error.policy_id());
        let which = policy.map_or(String::new(), |p| {
            format!(" {:?} on line {} of {}", p.id, p.line, p.file)
        });
        return Answer::Unusable(format!(
            "the policy{which} cannot be evaluated: {}",
            error.inner()
        ));
    }
    let mut reasons: Vec<PolicyRef> = response.diagnostics().reason().filter_map(of_id).collect();
    reasons.sort();
    let forbids = response
        .diagnostics()
        .reason()
        .any(|id| set.policy(id).is_some_and(|p| p.effect() == Effect::Forbid));
    match response.decision() {
        Decision::Allow => Answer::Permitted(reasons),
        Decision::Deny if forbids => Answer::Forbidden(reasons),
        Decision::Deny => Answer::NotPermitted,
    }
}

/// The question in Cedar's terms: a request, and the entities that it and the policies name.
fn facts(compiled: &Compiled, question: &Question) -> Result<(Request, Entities), String> {
    let mut world = World::default();
    let principal = world.principal(&question.principal)?;
    let role = world.role(question)?;
    let circumstances = &question.circumstances;
    let mut context = expressions(&vocabulary::CONTEXT, circumstances)?;
    if let Some(author) = &circumstances.author {
        world.person(author)?;
    }
    if question.action == Action::Approve {
        context.extend(expressions(&vocabulary::REVIEW, circumstances)?);
        if let Some(subject) = &circumstances.subject {
            world.principal(subject)?;
        }
    }
    for literal in &compiled.literals {
        world.team(literal)?;
    }
    let context = Context::from_pairs(context).map_err(in_words)?;
    let action = uid("Action", question.action.as_str());
    let schema = schema::compiled();
    let request = Request::new(principal, action, role, context, Some(schema)).map_err(in_words)?;
    let entities = world.entities.into_values();
    let entities = Entities::from_entities(entities, Some(schema)).map_err(in_words)?;
    Ok((request, entities))
}

fn in_words(error: impl std::fmt::Display) -> String {
    format!("the facts do not fit the schema of policies: {error}")
}

/// The types that questions name. Reading a name costs more than judging by ten policies.
static TYPES: LazyLock<BTreeMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    let types = [
        "Action", "Person", "Service", "Team", "Resource", "Role", "Risk", "Weekday",
    ];
    let read = |name: &'static str| {
        let read = name.parse().expect("a word is the name of a type");
        (name, read)
    };
    types.into_iter().map(read).collect()
});

fn uid(kind: &str, id: &str) -> EntityUid {
    let name = TYPES
        .get(kind)
        .expect("the vocabulary names these types only, and a test reads every attribute");
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

/// The attributes of one thing, all that the table names.
fn expressions<T>(
    attributes: &[Attribute<T>],
    of: &T,
) -> Result<HashMap<String, RestrictedExpression>, String> {
    let mut all = HashMap::new();
    for attribute in attributes {
        match (attribute.read)(of) {
            Some(value) => {
                all.insert(
                    attribute.name.to_owned(),
                    expression(attribute.kind, value)?,
                );
            }
            None if attribute.optional => {}
            None => return Err(in_words(format!("`{}` is missing", attribute.name))),
        }
    }
    Ok(all)
}

fn expression(kind: Kind, value: Value) -> Result<RestrictedExpression, String> {
    use RestrictedExpression as Expression;
    Ok(match (kind, value) {
        (Kind::Text, Value::Text(text)) => Expression::new_string(text),
        (Kind::Number, Value::Number(number)) => Expression::new_long(number),
        (Kind::Truth, Value::Truth(truth)) => Expression::new_bool(truth),
        (Kind::Entity(kind), Value::Entity(id)) => Expression::new_entity_uid(uid(kind, &id)),
        (Kind::Entities(kind), Value::Entities(ids)) => Expression::new_set(
            ids.iter()
                .map(|id| Expression::new_entity_uid(uid(kind, id))),
        ),
        (kind, value) => return Err(in_words(format!("{value:?} is no {}", kind.cedar()))),
    })
}

/// The entities of one question.
#[derive(Default)]
struct World {
    entities: BTreeMap<EntityUid, Entity>,
}

impl World {
    fn add(
        &mut self,
        entity: Result<Entity, cedar_policy::EntityAttrEvaluationError>,
    ) -> Result<(), String> {
        let entity = entity.map_err(in_words)?;
        self.entities.insert(entity.uid(), entity);
        Ok(())
    }

    fn principal(&mut self, principal: &Principal) -> Result<EntityUid, String> {
        match principal {
            Principal::Person(person) => self.person(person),
            Principal::Service(service) => {
                self.person(&service.owner)?;
                let id = uid("Service", service.name.as_str());
                let attributes = expressions(&vocabulary::SERVICE, service)?;
                self.add(Entity::new(id.clone(), attributes, HashSet::new()))?;
                Ok(id)
            }
        }
    }

    fn person(&mut self, person: &Somebody) -> Result<EntityUid, String> {
        let id = uid("Person", &person.id);
        let attributes = expressions(&vocabulary::PERSON, person)?;
        let tags = person.attributes.iter();
        let tags = tags.map(|(k, v)| (k.clone(), RestrictedExpression::new_string(v.clone())));
        let teams = person
            .teams
            .iter()
            .map(|t| uid("Team", &vocabulary::team_id(t)));
        let entity =
            Entity::new_with_tags(id.clone(), attributes, teams, tags).map_err(in_words)?;
        self.entities.insert(id.clone(), entity);
        Ok(id)
    }

    fn role(&mut self, question: &Question) -> Result<EntityUid, String> {
        let wanted = &question.wanted;
        let resource = uid("Resource", wanted.resource.as_str());
        let attributes = expressions(&vocabulary::RESOURCE, wanted)?;
        self.add(Entity::new(resource.clone(), attributes, HashSet::new()))?;
        let id = uid("Role", &wanted.role_ref().to_string());
        let attributes = expressions(&vocabulary::ROLE, wanted)?;
        self.add(Entity::new(
            id.clone(),
            attributes,
            HashSet::from([resource]),
        ))?;
        Ok(id)
    }

    fn team(&mut self, literal: &EntityUid) -> Result<(), String> {
        if kind(literal) == "Team" {
            self.add(Ok(Entity::new_no_attrs(literal.clone(), HashSet::new())))?;
        }
        Ok(())
    }
}
