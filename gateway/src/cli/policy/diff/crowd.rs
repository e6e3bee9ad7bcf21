//! Many people, each as both configurations see them, and who bears which mark: so that those whom an application's policies cannot tell
//! apart are found without looking at each of them.

use std::collections::HashMap;
use std::error::Error;

use portcullis_policy::{LoginFacts, Mark, Marks, Person};

use super::Both;
use crate::cli::policy::LoggedIn;
use crate::cli::policy::directory::Directory;
use crate::cli::policy::judge::Judge;
use crate::cli::policy::persona::Persona;

/// Everybody who could log in.
pub(super) struct Crowd {
    pub(super) names: Vec<String>,
    /// How many were left out, since they are deactivated.
    pub(super) deactivated: usize,
    /// How many have a session, whose claims were looked at.
    pub(super) with_session: usize,
    pub(super) sides: Both<Side>,
}

/// The same people as one configuration sees them.
#[derive(Default)]
pub(super) struct Side {
    pub(super) people: Vec<Person>,
    /// By position.
    bearers: HashMap<Mark, Vec<u32>>,
}

/// People whom an application's policies cannot tell apart.
pub(super) struct Class {
    /// One of them, by position.
    pub(super) of: usize,
    pub(super) size: usize,
}

/// Who belongs to which class.
pub(super) struct Classes {
    pub(super) of_person: Vec<u32>,
    pub(super) classes: Vec<Option<Class>>,
}

impl Crowd {
    /// The people of a directory who are active, all of whom have logged in alike.
    pub(super) fn of_directory(
        directory: &Directory,
        judges: Both<&Judge>,
        login: &LoggedIn,
        now: i64,
    ) -> Result<Self, Box<dyn Error>> {
        let mut crowd = Self::empty();
        let marks = judges.map(|judge| Marks::new(judge.set()));
        directory.look().each_person(|person| {
            if !person.active {
                crowd.deactivated += 1;
                return;
            }
            crowd.with_session += usize::from(directory.has_session(&person));
            let personas = judges.map(|judge| {
                let mut persona = directory.persona(&person, &judge.config);
                persona.alike(login, now);
                persona
            });
            let name = person.emails.first().unwrap_or(&person.user_name).clone();
            crowd.add(name, judges, &marks, &personas);
        })?;
        Ok(crowd)
    }

    pub(super) fn empty() -> Self {
        let sides = [Side::default(), Side::default()];
        Self { names: Vec::new(), deactivated: 0, with_session: 0, sides }
    }

    /// One more person, as either configuration sees them.
    pub(super) fn add(
        &mut self,
        name: String,
        judges: Both<&Judge>,
        marks: &Both<Marks<'_>>,
        personas: &Both<Persona>,
    ) {
        let position = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name);
        for (((side, judge), marks), persona) in self.sides.iter_mut().zip(judges).zip(marks).zip(personas) {
            let person = persona.person(judge.set());
            for mark in marks.of(&person) {
                side.bearers.entry(mark).or_default().push(position);
            }
            side.people.push(person);
        }
    }

    /// Divides the crowd by what both configurations ask of people at one application.
    pub(super) fn classes(&self, asked: Both<&[Mark]>) -> Classes {
        let mut of_person = vec![0_u32; self.names.len()];
        let mut newest = 0;
        let mut split: HashMap<u32, u32> = HashMap::new();
        for (side, asked) in self.sides.iter().zip(asked) {
            for bearers in asked.iter().filter_map(|mark| side.bearers.get(mark)) {
                split.clear();
                // Who bears the mark parts from those who were alike until now.
                for person in bearers {
                    let Some(class) = of_person.get_mut(*person as usize) else { continue };
                    *class = *split.entry(*class).or_insert_with(|| {
                        newest += 1;
                        newest
                    });
                }
            }
        }
        let mut classes: Vec<Option<Class>> = (0..=newest).map(|_| None).collect();
        for (person, class) in of_person.iter().enumerate() {
            if let Some(class) = classes.get_mut(*class as usize) {
                class.get_or_insert(Class { of: person, size: 0 }).size += 1;
            }
        }
        Classes { of_person, classes }
    }
}

impl Persona {
    /// Forgets how somebody logged in and what they were granted, for what is assumed of everybody.
    pub(super) fn alike(&mut self, login: &LoggedIn, now: i64) {
        self.login = LoginFacts { authenticated_at: Some(now), ..LoginFacts::default() };
        self.logged_in(login, now);
        self.grants.clear();
        self.purposes.clear();
    }
}
