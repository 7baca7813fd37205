use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::Settings;
use paramedic_integration::{
    Allow, Auth, Environment, HttpClient, LookingClient, ProbeError, SettingsError, TlsSettings,
    UrlPath,
};
use paramedic_model::Secret;

use crate::reach::Reach;

/// All that is ever asked of Oxidized. Other paths change its state, also by `GET`.
const ALLOWED: &[Allow] =
    &[Allow { method: "GET", path: "/nodes.json" }, Allow { method: "GET", path: "/" }];
const METRICS: &[Allow] = &[Allow { method: "GET", path: "" }];

const DEADLINE: Duration = Duration::from_secs(20);
/// The root page takes no lock, so a healthy process answers it at once.
const ROOT_DEADLINE: Duration = Duration::from_secs(5);

/// Looks at one Oxidized, and at the exporter beside it.
pub(crate) struct Client {
    list: LookingClient,
    root: LookingClient,
    exporter: Option<LookingClient>,
    /// The `instance` of its samples.
    pub instance: String,
    /// Its name among the services of the host.
    pub service: String,
}

impl Client {
    pub fn new(settings: &Settings, environment: &Environment) -> Result<Self, SettingsError> {
        let url = settings.text("url").unwrap_or_default();
        let urls = ["url", "exporter_url"];
        let is_https = |name| settings.text(name).is_some_and(|url| url.starts_with("https:"));
        let tls = TlsSettings::read(settings, urls.into_iter().any(is_https))?;
        let auth = match (settings.text("user"), settings.secret("password")) {
            (Some(user), Some(password)) => {
                Some(Auth::Basic { user: Secret::new(user), password: password.clone() })
            }
            (None, None) => None,
            (Some(_), None) => return Err(SettingsError::new("password", "`user` needs one")),
            (None, Some(_)) => return Err(SettingsError::new("user", "`password` needs one")),
        };
        let http = |deadline| {
            let client = HttpClient::new("url", url, tls.clone(), auth.clone(), environment)?;
            Ok::<_, SettingsError>(client.with_deadline(deadline))
        };
        let list = http(settings.duration("deadline").unwrap_or(DEADLINE))?;
        let instance = list.address().to_string();
        let exporter = match settings.text("exporter_url") {
            Some(url) => {
                let client = HttpClient::new("exporter_url", url, tls.clone(), None, environment)?;
                Some(LookingClient::new(Arc::new(client.with_deadline(DEADLINE)), METRICS))
            }
            None => None,
        };
        Ok(Self {
            list: LookingClient::new(Arc::new(list), ALLOWED),
            root: LookingClient::new(Arc::new(http(ROOT_DEADLINE)?), ALLOWED),
            exporter,
            instance,
            service: settings.text("service").unwrap_or("oxidized").to_owned(),
        })
    }

    /// Where Oxidized is, for messages.
    pub fn target(&self) -> String {
        self.list.target()
    }

    /// Asks for the list of devices.
    pub async fn list(&self) -> Reach {
        Reach::of(&self.list.get(UrlPath::fixed("/nodes.json")).await)
    }

    /// Whether the root page answers at all. It takes no lock, so it answers while a list that is
    /// locked does not.
    pub async fn root_answers(&self) -> bool {
        self.root.get(UrlPath::fixed("/")).await.is_ok()
    }

    /// What the exporter answers; `None` where none is deployed.
    pub async fn exporter(&self) -> Option<Result<String, ProbeError>> {
        let exporter = self.exporter.as_ref()?;
        let answer = exporter.get(UrlPath::fixed("")).await;
        Some(answer.and_then(|response| {
            response.successful()?;
            Ok(response.text())
        }))
    }

    /// Where the exporter is, for messages.
    pub fn exporter_target(&self) -> Option<String> {
        self.exporter.as_ref().map(LookingClient::target)
    }
}
