//! Tests of the metrics of a service that uses all of the kit.

use std::time::Duration;

use super::payloads::{serve, service};
use crate::{CheckResult, Heartbeat, HeartbeatSchedule, Need, ShutdownCause, metrics};

#[tokio::test(start_paused = true)]
async fn metrics_report_the_state_of_the_service() {
    let service = service("orders-api", "2.4.1");
    let port = serve(&service, metrics::routes(&service));
    let limit = Duration::from_secs(5);
    service.register_check("database", Need::Required, limit, || async {
        tokio::time::sleep(Duration::from_millis(20)).await;
    });
    service.register_check("cache", Need::Optional, limit, || async {
        CheckResult::unhealthy("refused")
    });
    service.readiness_gate("migrations");
    let payments = service.circuit_breaker("payments", 1, limit);
    let _ = payments.call(async { Err::<(), _>("502") }).await;

    for arrives in [true, false] {
        service.send_heartbeats(
            "hub",
            HeartbeatSchedule::every(limit),
            move |_: Heartbeat| async move { if arrives { Ok(()) } else { Err("refused") } },
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    let text = port.request("GET /metrics").await.body;
    let check = |lines: &[&str]| {
        for line in lines {
            assert!(text.contains(&format!("{line}\n")), "no {line} in\n{text}");
        }
    };
    check(&[
        "service_info{service=\"orders-api\",version=\"2.4.1\"} 1",
        "service_ready 0",
        "service_shutting_down 0",
        "service_shutdown_limit_seconds 67.0",
        "service_health{status=\"healthy\"} 0",
        "service_health{status=\"unhealthy\"} 1",
        "service_component_health{component=\"database\",required=\"true\",status=\"healthy\"} 1",
        "service_component_health{component=\"cache\",required=\"false\",status=\"unhealthy\"} 1",
        "service_gate_open{gate=\"migrations\"} 0",
        "service_check_duration_seconds_bucket{component=\"database\",le=\"0.01\"} 0",
        "service_check_duration_seconds_bucket{component=\"database\",le=\"0.05\"} 1",
        "service_check_duration_seconds_bucket{component=\"database\",le=\"+Inf\"} 1",
        "service_check_duration_seconds_sum{component=\"database\"} 0.02",
        "service_check_duration_seconds_count{component=\"database\"} 1",
        "service_component_failures_total{component=\"cache\"} 1",
        "service_circuit_state{component=\"payments\",state=\"open\"} 1",
        "service_heartbeats_total{to=\"hub\",result=\"sent\"} 1",
        "service_heartbeats_total{to=\"hub\",result=\"missed\"} 1",
        "service_heartbeats_missed_in_a_row{to=\"hub\"} 1",
        "service_requests_in_flight 0",
        "service_open_connections 1",
    ]);
    assert!(!text.contains("service_reloads_total"), "nothing to reload");
    let mut samples: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let all = samples.len();
    samples.sort_unstable();
    samples.dedup();
    assert_eq!(samples.len(), all, "each sample once:\n{text}");
    service.shut_down(ShutdownCause::Program);
    assert!(metrics::text(&service).contains("service_shutting_down 1\n"));
}

#[tokio::test(start_paused = true)]
async fn label_values_are_escaped_and_a_metric_without_samples_is_left_out() {
    let service = service("a\"b\\c\nd", "ü");
    let text = metrics::text(&service);
    let expected = concat!(
        "# HELP service_info Name and version.\n# TYPE service_info gauge\n",
        "service_info{service=\"a\\\"b\\\\c\\nd\",version=\"ü\"} 1\n",
    );
    assert!(text.starts_with(expected), "{text}");
    assert!(!text.contains("service_gate_open"), "{text}");
    service.readiness_gate("migrations");
    service.dependency("database").record_success();
    let expected = concat!(
        "# HELP service_component_successes_total Attempts that succeeded.\n",
        "# TYPE service_component_successes_total counter\n",
        "service_component_successes_total{component=\"database\"} 1\n",
    );
    let text = metrics::text(&service);
    assert!(text.contains("service_gate_open{gate=\"migrations\"} 0\n"));
    assert!(text.contains(expected), "{text}");
}
