use crate::scene::{Scene, print};

#[tokio::test(start_paused = true)]
async fn a_healthy_host_fires_nothing_and_yields_both_generations_of_series() {
    let scene = Scene::new();
    let collection = scene.collect().await;
    assert!(collection.failure.is_none(), "{:?}", collection.failure);
    assert_eq!(scene.all_holding(&collection), Vec::<String>::new());
    let text = print(&collection);
    for line in [
        r#"windows_service_status{name="ShopWorker", status="ok"} 1"#,
        r#"windows_service_status{name="ShopWorker", status="degraded"} 0"#,
        r#"windows_service_state{name="ShopWorker", state="running"} 1"#,
        r#"windows_service_state{name="ShopWorker", state="start pending"} 0"#,
        r#"windows_service_start_mode{name="ShopWorker", start_mode="auto"} 1"#,
        r#"windows_service_info{display_name="Shop Worker", name="ShopWorker", path_name="C:\\Program Files\\Shop\\worker.exe", run_as=".\\svc-shop"} 1"#,
        r#"paramedic_windows_service_watched{name="ShopWorker"} 1"#,
        r#"windows_exporter_collector_success{collector="service"} 1"#,
        r#"windows_os_info{build_number="20348", major_version="10", minor_version="0", product="Microsoft Windows Server 2022 Standard", version="10.0.20348"} 1"#,
        r#"windows_memory_physical_total_bytes 17179869184"#,
        r#"windows_logical_disk_size_bytes{volume="D:"} 536870912000"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(text.contains("windows_service_process{name=\"ShopWorker\", process_id="));
    assert!(!text.contains("Zt7-not-for-show"), "a command line may hold a secret");
    assert!(!text.contains("\"E:\""), "a drive without a disk has no size");
    let of_worker = |line: &&str| line.contains("name=\"ShopWorker\"");
    assert_eq!(text.lines().filter(of_worker).count(), 2 + 8 + 5 + 12 + 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_list_every_automatic_service_is_watched() {
    use paramedic_catalog::SettingValue;
    use paramedic_model::SystemName;

    let mut scene = Scene::new();
    let mut settings = scene.bench.simulator.settings();
    settings.set("services", SettingValue::TextList(Vec::new()));
    scene.bench.system = crate::scene::windows()
        .open(&SystemName::from("sut"), &settings, &scene.bench.environment)
        .expect("the settings work");
    let text = print(&scene.collect().await);
    assert!(text.contains("name=\"Dhcp\"") && text.contains("name=\"ShopWorker\""), "{text}");
    assert!(!text.contains("name=\"wuauserv\""), "it starts on demand");
    assert!(!text.contains("paramedic_windows_service_watched"));
}
