use paramedic_integration::Fault;

/// Simulated systems that can be broken and healed: the menu of the lab.
pub trait Workbench: Send + Sync {
    /// The systems, with what each can be broken with.
    fn breakables(&self) -> Vec<Breakable>;

    /// Injects a fault into a system, in place of one that it may have.
    ///
    /// # Errors
    ///
    /// A system or a fault that there is not, in words.
    fn break_system(&self, system: &str, fault: &str) -> Result<(), String>;

    /// Makes a system healthy.
    ///
    /// # Errors
    ///
    /// A system that there is not, in words.
    fn heal_system(&self, system: &str) -> Result<(), String>;
}

/// One system that can be broken.
#[derive(Debug, Clone)]
pub struct Breakable {
    /// Its name.
    pub system: String,
    /// What it is, for people.
    pub title: String,
    /// What it can be broken with.
    pub faults: Vec<Fault>,
    /// The id of the fault that it has.
    pub broken: Option<String>,
}
