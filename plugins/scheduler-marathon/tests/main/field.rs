//! One running scheduler with its pool and store, and a client.

use crate::fake::Fake;
use crate::state::MemoryState;
use plenum_contract::scheduler::{RunningScheduler, Scheduler, SchedulerContext, SchedulerError};
use plenum_model::ids::SchedulerId;
use scheduler_marathon::MarathonScheduler;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Field {
    pub(crate) pool: Fake,
    pub(crate) state: Arc<MemoryState>,
    config: Value,
    running: Option<Box<dyn RunningScheduler>>,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

/// An answer, read whole.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The body of an answer that must be a success.
    pub(crate) fn good(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json()
    }
}

impl Field {
    pub(crate) async fn with_room(room: usize) -> Self {
        Self::configured(room, json!({})).await
    }

    /// With these keys of the configuration.
    pub(crate) async fn configured(room: usize, config: Value) -> Self {
        let (pool, state) = (Fake::with_room(room), Arc::new(MemoryState::default()));
        let mut config = config;
        config["listen"] = json!("127.0.0.1:0");
        let running = start(&pool, &state, &config).await.unwrap();
        let url = running.endpoints()["marathon"].clone();
        Self {
            pool,
            state,
            config,
            running: Some(running),
            url,
            http: reqwest::Client::new(),
        }
    }

    /// Another life of the scheduler, with the same pool and store.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let running = start(&self.pool, &self.state, &self.config).await.unwrap();
        self.url = running.endpoints()["marathon"].clone();
        self.running = Some(running);
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&str>) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.good()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, Some(&body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call("PUT", path, Some(&body.to_string())).await
    }

    /// Makes an app and waits until its deployment is over.
    pub(crate) async fn create(&self, id: &str, instances: u32) {
        let app = json!({"id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances});
        assert_eq!(self.post("/v2/apps", &app).await.status, 201);
        self.quiet().await;
    }

    /// Waits until no deployment is under way.
    pub(crate) async fn quiet(&self) {
        self.until("no deployment", async || {
            self.get("/v2/deployments").await == json!([])
        })
        .await;
    }

    /// The ids of an app's tasks, sorted.
    pub(crate) async fn task_ids(&self, app: &str) -> Vec<String> {
        let tasks = self.get(&format!("/v2/apps{app}/tasks")).await;
        let tasks = tasks["tasks"].as_array().unwrap();
        let mut ids: Vec<_> = tasks
            .iter()
            .map(|t| t["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    pub(crate) async fn app(&self, id: &str) -> Value {
        self.get(&format!("/v2/apps{id}")).await["app"].take()
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds().await {
            assert!(Instant::now() < deadline, "waited in vain for: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) async fn start(
    pool: &Fake,
    state: &Arc<MemoryState>,
    config: &Value,
) -> Result<Box<dyn RunningScheduler>, SchedulerError> {
    let context = SchedulerContext {
        id: SchedulerId::new("marathon").unwrap(),
        broker: Arc::new(pool.clone()),
        pool: Arc::new(pool.clone()),
        state: Arc::clone(state) as _,
        streams: Arc::new(pool.clone()),
        config: config.clone(),
    };
    MarathonScheduler.start(context).await
}
