//! Lists provisioned instances: pages, tokens, and every other answer that a server can give.

use crate::support::Pgmig;
use crate::support::resource_controller::{
    Controller, Reply, TOKEN, block_on, ids, list, quick, zen_instances, zen_page,
};
use pgmig_core::ErrorKind;
use pgmig_core::instance::InstanceId;
use pgmig_core::resource_controller::{
    Limits, Listing, RcEnvironment, ResourceController, ResourceControllerError, ServiceType,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ZEN: Option<ServiceType> = Some(ServiceType::Assistant);
const GATEWAY: Option<ServiceType> = None;

fn listed(listing: &Listing) -> Vec<InstanceId> {
    listing.instances.iter().map(|instance| instance.id).collect()
}

/// The error for a server that always answers this. Checks that the error contains neither the token nor the body.
#[track_caller]
fn error_of(service_type: Option<ServiceType>, reply: Reply) -> (ResourceControllerError, usize) {
    let server = Controller::start(move |_| reply.clone());
    let error = list(server.config(service_type)).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("unshown"), "{shown}");
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    (error, server.requests().len())
}

// Pages

#[test]
fn every_number_of_instances() {
    for count in [0, 1, 19, 20, 21, 37, 40, 1_000] {
        let server = Controller::zen(zen_instances(1_764_035_503_000_000, count));
        let listing = list(server.config(ZEN)).unwrap();
        assert_eq!(listed(&listing), ids(1_764_035_503_000_000, count), "{count}");
        assert_eq!(listing.warnings(), Vec::<String>::new(), "{count}");
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.query["fetch_all_instances"] == "true"));
        assert!(requests.iter().all(|request| request.query["addon_type"] == "assistant"));
    }
}

#[test]
fn every_number_of_instances_at_the_gateway() {
    for count in [0, 1, 20, 21, 37, 1_000] {
        let instances = (7..7 + count).map(|number| json!({ "zen_id": number, "name": "n" })).collect();
        let server = Controller::gateway(instances);
        let listing = list(server.config(GATEWAY)).unwrap();
        assert_eq!(listed(&listing), ids(7, count), "{count}");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(server.requests()[0].query["resource_id"], "assistant");
    }
}

#[test]
fn ids_at_the_gateway_are_read_tolerantly() {
    let server = Controller::gateway(vec![
        json!({ "zen_id": "1570184978", "id": "9", "name": "older" }),
        json!({ "id": 1_570_194_490_u64, "name": "newer" }),
        json!({ "id": "crn:v1:x", "guid": "1570194491" }),
        json!({ "id": "E10001EB-6272-453A-BB43-3DCF0E765892" }),
        json!({ "name": "without" }),
    ]);
    let listing = list(server.config(GATEWAY)).unwrap();
    let shown: Vec<String> = listed(&listing).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "00000000-0000-0000-0000-001570184978",
            "00000000-0000-0000-0000-001570194490",
            "00000000-0000-0000-0000-001570194491",
            "e10001eb-6272-453a-bb43-3dcf0e765892"
        ]
    );
    assert_eq!(listing.instances[0].name.as_deref(), Some("older"));
    assert_eq!(listing.unusable.len(), 1);
    assert_eq!(listing.unusable[0].name.as_deref(), Some("without"));
}

#[test]
fn a_server_that_ignores_paging() {
    for count in [1, 20, 37, 1_000] {
        let instances = zen_instances(1, count);
        let server = Controller::start(move |_| Reply::json(&zen_page(&instances, 0, usize::MAX)));
        let listing = list(server.config(ZEN)).unwrap();
        assert_eq!(listed(&listing), ids(1, count));
        assert!(server.requests().len() <= 5, "{}", server.requests().len());
    }
}

#[test]
fn a_server_that_repeats_its_first_page_for_ever() {
    let instances = zen_instances(1, 37);
    let server = Controller::start(move |_| Reply::json(&zen_page(&instances, 0, 20)));
    let listing = list(server.config(ZEN)).unwrap();
    assert_eq!(listed(&listing), ids(1, 20));
    assert!(listing.warnings()[0].contains("37 instances, but lists 20"), "{:?}", listing.warnings());
}

#[test]
fn a_server_that_repeats_its_last_page_for_ever() {
    let instances = zen_instances(1, 37);
    let server = Controller::start(move |request| {
        Reply::json(&zen_page(&instances, request.number("offset").min(20), 20))
    });
    assert_eq!(listed(&list(server.config(ZEN)).unwrap()), ids(1, 37));
}

#[test]
fn a_server_that_gives_each_page_twice() {
    let instances = zen_instances(1, 100);
    let last = std::sync::Mutex::new((0, Value::Null));
    let server = Controller::start(move |request| {
        let mut last = last.lock().unwrap();
        if request.index % 2 == 0 {
            *last = (request.index, zen_page(&instances, request.number("offset"), 20));
        }
        Reply::json(&last.1)
    });
    assert_eq!(listed(&list(server.config(ZEN)).unwrap()), ids(1, 100));
}

#[test]
fn a_server_whose_list_shifts_between_pages() {
    // An instance is created while pgmig reads. Thus the last instance of a page is the first one of the next page.
    let server = Controller::start(move |request| {
        let instances = if request.index == 0 { zen_instances(1, 37) } else { zen_instances(0, 38) };
        Reply::json(&zen_page(&instances, request.number("offset"), 20))
    });
    let mut found = listed(&list(server.config(ZEN)).unwrap());
    found.sort();
    assert_eq!(found, ids(1, 37));
}

#[test]
fn a_server_that_lists_an_instance_many_times() {
    // The same instance in the middle of the list, more than a page long.
    let mut instances = zen_instances(1, 30);
    instances.extend(std::iter::repeat_n(zen_instances(30, 1), 25).flatten());
    instances.extend(zen_instances(31, 10));
    let server = Controller::zen(instances);
    assert_eq!(listed(&list(server.config(ZEN)).unwrap()), ids(1, 40));
}

#[test]
fn a_total_count_that_lies() {
    for total in [json!(0), json!(1), json!(20), json!(36), json!("37"), json!(null), json!(-1), json!({})] {
        let instances = zen_instances(1, 37);
        let server = Controller::start(move |request| {
            let mut page = zen_page(&instances, request.number("offset"), 20);
            page["total_count"] = total.clone();
            Reply::json(&page)
        });
        let listing = list(server.config(ZEN)).unwrap();
        assert_eq!(listed(&listing), ids(1, 37));
        assert_eq!(listing.warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_total_count_that_is_too_high_is_told() {
    let instances = zen_instances(1, 37);
    let server = Controller::start(move |request| {
        let mut page = zen_page(&instances, request.number("offset"), 20);
        page["total_count"] = json!(1_000_000);
        Reply::json(&page)
    });
    let listing = list(server.config(ZEN)).unwrap();
    assert_eq!(listed(&listing), ids(1, 37));
    assert!(listing.warnings()[0].contains("1000000 instances, but lists 37"), "{:?}", listing.warnings());
    assert!(server.requests().len() < 10);
}

#[test]
fn a_server_that_lists_for_ever() {
    let server = Controller::start(move |request| {
        let first = u64::try_from(request.number("offset")).unwrap();
        Reply::json(&json!({ "service_instances": zen_instances(first, 20_000) }))
    });
    let error = list(server.config(ZEN)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::TooManyInstances { .. }), "{error}");
}

/// Every page has one more instance and arrives in time. Only the limit of the total time ends the list.
#[test]
fn an_endless_list_meets_its_deadline() {
    let server = Controller::start(move |request| {
        let first = u64::try_from(request.number("offset")).unwrap();
        Reply::json(&json!({ "service_instances": zen_instances(first, 1), "total_count": 1_000_000 }))
    });
    let controller = ResourceController::new(server.config(ZEN), &RcEnvironment::default()).unwrap();
    let limits = Limits { listing: Duration::from_secs(2), ..quick() };
    let start = Instant::now();
    let error = block_on(&controller.with_limits(limits)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::Timeout { .. }), "{error}");
    assert!(
        error.to_string().contains("did not come to the end of its list of instances within 2 s"),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(server.requests().len() > 1);
}

#[test]
fn names_do_not_fill_the_memory() {
    let server = Controller::start(move |request| {
        let first = u64::try_from(request.number("offset")).unwrap();
        let mut instances = zen_instances(first, 10);
        instances.iter_mut().for_each(|instance| instance["display_name"] = json!("n".repeat(1 << 20)));
        Reply::json(&json!({ "service_instances": instances }))
    });
    let error = list(server.config(ZEN)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::TooLarge { .. }), "{error}");
}

/// A value that cannot be represented affects its own field only.
#[test]
fn one_odd_value_does_not_discard_the_list() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for odd in ["1e400", "-1e999", r#""\ud800""#, "\"a\u{1}b\"", &deep] {
        let body = format!(
            r#"{{"resources": [{{"zen_id": "7", "name": "a", "x": {odd}}}, {{"zen_id": {odd}, "name": "b"}}], "y": {odd}}}"#
        );
        let reply = Reply::body("200 OK", "application/json", body.as_bytes());
        let server = Controller::start(move |_| reply.clone());
        let listing = list(server.config(GATEWAY)).unwrap();
        assert_eq!(listed(&listing), ids(7, 1), "{odd:.20}");
        assert_eq!(listing.instances[0].name.as_deref(), Some("a"));
        assert_eq!(listing.unusable[0].name.as_deref(), Some("b"), "{odd:.20}");
    }
    let body = b"{\"resources\": [{\"zen_id\": \"7\", \"name\": \"a\xff\"}]}";
    let reply = Reply::body("200 OK", "application/json", body);
    let server = Controller::start(move |_| reply.clone());
    assert_eq!(list(server.config(GATEWAY)).unwrap().instances[0].name.as_deref(), Some("a\u{fffd}"));
}

// Which instances

#[test]
fn only_provisioned_ones_of_the_type_are_usable() {
    let mut instances = zen_instances(1, 5);
    instances[1]["provision_status"] = json!("PROVISION_IN_PROGRESS");
    instances[2]["provision_status"] = json!("FAILED");
    instances[3]["addon_type"] = json!("orchestrate");
    let server = Controller::zen(instances);
    let listing = list(server.config(ZEN)).unwrap();
    assert_eq!(listed(&listing), [ids(1, 1), ids(5, 1)].concat());
    let unusable: Vec<_> = listing.unusable.iter().map(|one| one.status.as_deref().unwrap()).collect();
    assert_eq!(unusable, ["PROVISION_IN_PROGRESS", "FAILED"]);
    let token = &listing.tokens[0];
    assert_eq!((token.position, token.provisioned, token.unusable, token.other_kinds), (1, 2, 2, 1));
    let first = &listing.instances[0];
    assert_eq!(first.name.as_deref(), Some("instance-1"));
    assert_eq!((first.namespace.as_deref(), first.kind.as_deref()), (Some("cpd"), Some("assistant")));
    assert_eq!(first.tokens, [1]);
}

#[test]
fn what_tokens_see_is_merged() {
    let server = Controller::start(move |request| {
        let instances =
            if request.has_token("first-t0ken") { zen_instances(1, 25) } else { zen_instances(21, 30) };
        Reply::json(&zen_page(&instances, request.number("offset"), 20))
    });
    let listing = list(server.config_with(&["first-t0ken", "second-t0ken"], ZEN)).unwrap();
    assert_eq!(listed(&listing), ids(1, 50));
    assert_eq!(listing.tokens.iter().map(|token| token.provisioned).collect::<Vec<_>>(), [25, 30]);
    assert_eq!(listing.instances[19].tokens, [1]);
    assert_eq!(listing.instances[20].tokens, [1, 2]);
    assert_eq!(listing.instances[25].tokens, [2]);
}

#[test]
fn empty_lists_in_every_form() {
    for body in [json!({ "service_instances": null }), json!({ "service_instances": [], "total_count": 0 })] {
        let server = Controller::start(move |_| Reply::json(&body));
        assert_eq!(list(server.config(ZEN)).unwrap().instances, []);
    }
}

// Tokens

#[test]
fn a_broker_secret_is_exchanged_once() {
    let instances = zen_instances(1, 37);
    let server = Controller::start(move |request| {
        if request.path == "/internal/v1/service_token" {
            assert_eq!(request.headers["secret"], TOKEN);
            assert_eq!(request.query["expiration_time"], "1000");
            assert!(!request.headers.contains_key("authorization"));
            return Reply::json(&json!({ "token": "exchanged-t0ken" }));
        }
        if !request.has_token("exchanged-t0ken") {
            return Reply::status(401);
        }
        Reply::json(&zen_page(&instances, request.number("offset"), 20))
    });
    assert_eq!(listed(&list(server.config(ZEN)).unwrap()), ids(1, 37));
    let exchanges = server.requests().iter().filter(|r| r.path == "/internal/v1/service_token").count();
    assert_eq!(exchanges, 1);
}

#[test]
fn a_token_that_is_refused_even_when_exchanged() {
    let server = Controller::start(|request| {
        let exchange = request.path == "/internal/v1/service_token";
        if exchange { Reply::json(&json!({ "token": "exchanged-t0ken" })) } else { Reply::status(401) }
    });
    let error = list(server.config(ZEN)).unwrap_err();
    assert!(
        matches!(error, ResourceControllerError::TokenRefused { position: 1, status: 401, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    assert!(!format!("{error} {error:?}").contains("t0ken"));
}

#[test]
fn an_exchange_that_fails_leaves_the_token_refused() {
    let replies = [
        Reply::status(404),
        Reply::status(400),
        Reply::status(500),
        Reply::json(&json!({})),
        Reply::json(&json!({ "token": "a\nb" })),
        Reply::body("200 OK", "text/html", b"<html>"),
    ];
    for reply in replies {
        let server = Controller::start(move |request| match request.path.as_str() {
            "/internal/v1/service_token" => reply.clone(),
            _ => Reply::status(401),
        });
        let error = list(server.config(ZEN)).unwrap_err();
        assert!(matches!(error, ResourceControllerError::TokenRefused { status: 401, .. }), "{error}");
    }
}

#[test]
fn a_refused_token_is_named_by_its_position() {
    for (service_type, status) in [(ZEN, 401), (ZEN, 403), (GATEWAY, 401), (GATEWAY, 403)] {
        let server = Controller::start(move |request| match request.path.as_str() {
            "/internal/v1/service_token" => Reply::status(401),
            _ if request.has_token("bad-t0ken") => Reply::status(status),
            _ => Reply::json(&json!({ "service_instances": [], "resources": [] })),
        });
        let error = list(server.config_with(&[TOKEN, "bad-t0ken"], service_type)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("token 2") && text.contains(&status.to_string()), "{text}");
        assert!(!format!("{error} {error:?}").contains("t0ken"), "{text}");
    }
}

#[test]
fn an_expired_token_is_told() {
    // {"alg":"none"} . {"exp":1000000000} . x
    let expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDAwMDAwMDB9.eA";
    let server = Controller::start(|_| Reply::status(401));
    let text = list(server.config_with(&[expired], GATEWAY)).unwrap_err().to_string();
    assert!(text.contains("token 1") && text.contains("expired at Sep  9 01:46:40 2001 GMT"), "{text}");
    assert!(!text.contains(expired), "{text}");
}

#[test]
fn a_token_with_a_line_break_is_not_sent() {
    let server = Controller::zen(Vec::new());
    let error = list(server.config_with(&[TOKEN, "brok\nen"], ZEN)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::InvalidToken { position: 2 }), "{error}");
    assert_eq!((error.kind(), server.connections()), (ErrorKind::Usage, 0));
}

// Answers that contain no list

#[test]
fn not_found_says_what_to_check() {
    let (error, requests) = error_of(GATEWAY, Reply::status(404));
    assert!(error.to_string().contains("RESOURCE_CONTROLLER_URL"), "{error}");
    assert_eq!(requests, 1);
    let (error, _) = error_of(ZEN, Reply::status(404));
    assert!(error.to_string().contains("zen-core-api"), "{error}");
}

#[test]
fn passing_failures_are_tried_three_times() {
    for status in [429, 500, 502, 503, 504] {
        let (error, requests) = error_of(ZEN, Reply::status(status));
        assert!(error.to_string().contains(&format!("HTTP {status} (3 tries)")), "{error}");
        assert_eq!(requests, 3);
    }
}

#[test]
fn other_failures_are_tried_once() {
    for status in [400, 405, 410] {
        let (error, requests) = error_of(ZEN, Reply::status(status));
        assert!(error.to_string().contains(&format!("HTTP {status};")), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn a_passing_failure_passes() {
    let instances = zen_instances(1, 37);
    let server = Controller::start(move |request| match request.index % 3 {
        0 => Reply::status(503),
        1 => Reply::raw(""),
        _ => Reply::json(&zen_page(&instances, request.number("offset"), 20)),
    });
    assert_eq!(listed(&list(server.config(ZEN)).unwrap()), ids(1, 37));
}

#[test]
fn retry_after_is_respected() {
    let server = Controller::start(|request| match request.index {
        0 => Reply::status_with(429, "Retry-After: 1"),
        _ => Reply::json(&json!({ "resources": [] })),
    });
    let start = Instant::now();
    list(server.config(GATEWAY)).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_long_retry_after_is_not_waited_for() {
    let start = Instant::now();
    let (error, requests) = error_of(GATEWAY, Reply::status_with(503, "Retry-After: 3600"));
    assert!(error.to_string().contains("3600 s"), "{error}");
    assert_eq!(requests, 1);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Controller::gateway(Vec::new());
    for status in [301, 302, 307, 308] {
        let location = format!("Location: https://localhost:{}/unshown", elsewhere.port);
        let (error, requests) = error_of(GATEWAY, Reply::status_with(status, &location));
        assert!(matches!(error, ResourceControllerError::Redirected { .. }), "{error}");
        assert_eq!(requests, 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_web_page_is_told_from_a_list() {
    let page = b"<!DOCTYPE html><title>unshown</title>";
    for reply in [
        Reply::body("200 OK", "text/html; charset=utf-8", page),
        Reply::body("200 OK", "application/json", b"\n  <html>unshown</html>"),
    ] {
        let (error, requests) = error_of(ZEN, reply);
        assert!(matches!(error, ResourceControllerError::WebPage { .. }), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn truncated_answers_are_told() {
    let json = b"{\"resources\":[{\"id\":\"1\",\"name\":\"unshown";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let with_length = [format!("{head}Content-Length: 1000\r\n\r\n").as_bytes(), json].concat();
    let in_chunks = [format!("{head}Transfer-Encoding: chunked\r\n\r\n100\r\n").as_bytes(), json].concat();
    for reply in
        [Reply::raw(with_length), Reply::raw(in_chunks), Reply::body("200 OK", "application/json", json)]
    {
        let (error, requests) = error_of(GATEWAY, reply);
        assert!(matches!(error, ResourceControllerError::Truncated { attempts: 3, .. }), "{error:?}");
        assert_eq!(requests, 3);
    }
}

#[test]
fn oversized_answers_are_not_read() {
    let declared = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{");
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n{\"resources\":[\"".to_vec();
    endless.resize(17 << 20, b'x');
    for reply in [declared, Reply::raw(endless)] {
        let (error, requests) = error_of(GATEWAY, reply);
        assert!(matches!(error, ResourceControllerError::TooLarge { .. }), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn answers_of_other_forms_are_told() {
    for (body, says) in [
        (&b""[..], "it is empty"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{\"message\":\"unshown\"}", "has no `resources`"),
        (b"{\"resources\":\"unshown\"}", "no list"),
        (b"{\"resources\":[\"unshown\"]}", "entry 1"),
        (b"{\"resources\":[]} unshown", "no JSON"),
        (b"unshown text", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
    ] {
        let (error, requests) = error_of(GATEWAY, Reply::body("200 OK", "application/json", body));
        assert!(matches!(error, ResourceControllerError::UnexpectedAnswer { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn what_is_no_http_is_told() {
    let (error, requests) = error_of(ZEN, Reply::raw("unshown SSH-2.0\r\n\r\n"));
    assert!(error.to_string().contains("does not speak HTTP/1.1"), "{error}");
    assert_eq!(requests, 1);
}

#[test]
fn a_connection_that_closes_without_an_answer_is_tried_again() {
    let (error, requests) = error_of(ZEN, Reply::raw(""));
    assert!(matches!(error, ResourceControllerError::Unreachable { attempts: 3, .. }), "{error}");
    assert_eq!(requests, 3);
}

#[test]
fn a_slow_server_runs_into_the_time_limit() {
    let slow = Reply::json(&json!({ "resources": [] })).after(Duration::from_secs(20));
    let server = Controller::start(move |_| slow.clone());
    let controller = ResourceController::new(server.config(GATEWAY), &RcEnvironment::default()).unwrap();
    assert!(!format!("{controller:?}").contains(TOKEN));
    let limits = Limits { request: Duration::from_millis(500), attempts: 2, ..quick() };
    let start = Instant::now();
    let error = block_on(&controller.with_limits(limits)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::Timeout { attempts: 2, .. }), "{error}");
    assert!(error.to_string().contains("did not answer within 0.5 s (2 tries)"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn nobody_listens() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = Controller::zen(Vec::new()).config(ZEN);
    config.port = port;
    config.ca_file = None;
    let error = list(config).unwrap_err();
    assert!(matches!(error, ResourceControllerError::Unreachable { attempts: 3, .. }), "{error}");
    assert!(error.to_string().contains(&format!("localhost:{port}")), "{error}");
}

// The command line

#[test]
fn test_connection_prints_what_was_found() {
    let mut instances = zen_instances(1, 21);
    instances[0]["display_name"] = json!("Sales \u{1b}[31m");
    instances[20]["provision_status"] = json!("FAILED");
    let server = Controller::zen(instances);
    Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml(TOKEN, ZEN))
        .run()
        .expect_status(0)
        .stdout_has(&format!("https://localhost:{}", server.port))
        .stdout_has("TLSv1.3, certificate verified with caFile ")
        .stdout_has("20 instances provisioned")
        .stdout_has("00000000-0000-0000-0000-000000000020")
        .stdout_has("Sales \\u{1b}[31m")
        .stdout_has("FAILED")
        .keeps_secret(TOKEN);
}

#[test]
fn test_connection_fails_with_status_1() {
    let server = Controller::zen(Vec::new());
    Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml("wr0ng-t0ken", ZEN))
        .run()
        .expect_status(1)
        .stderr_has("does not accept token 1 of accessTokens (HTTP 401)")
        .keeps_secret("wr0ng-t0ken");
}

#[test]
fn an_interrupt_ends_the_wait() {
    let slow = Reply::json(&json!({ "resources": [] })).after(Duration::from_secs(20));
    let server = Controller::start(move |_| slow.clone());
    let running = Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml(TOKEN, GATEWAY))
        .timeout(Duration::from_secs(10))
        .spawn();
    while server.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("INT");
    running.wait().expect_status(130);
}

#[test]
fn wxo_asks_for_orchestrate() {
    let mut instances = zen_instances(1, 1);
    instances[0]["addon_type"] = json!("orchestrate");
    let server = Controller::zen(instances);
    Pgmig::new()
        .args(["--testRCConnection", "--wxo", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml(TOKEN, GATEWAY))
        .run()
        .expect_status(0)
        .stdout_has("1 instance provisioned");
    assert!(server.requests().iter().all(|request| request.query["addon_type"] == "orchestrate"));
}

#[test]
fn no_token_is_shown_at_the_most_verbose_level() {
    // A server that puts the token into every part of its answers.
    let echo = |status: u16| {
        move |request: &crate::support::resource_controller::SeenRequest| {
            let secret = request.headers.get("authorization").or(request.headers.get("secret")).unwrap();
            let body = format!("{{\"message\":\"{secret}\",\"service_instances\":\"{secret}\"}}");
            let head =
                format!("HTTP/1.1 {status} {secret}\r\nLocation: https://x/{secret}\r\nX-Token: {secret}");
            Reply::raw(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        }
    };
    for status in [200, 302, 400, 401, 403, 404, 429, 500] {
        let server = Controller::start(echo(status));
        let outcome = Pgmig::new()
            .args(["--testRCConnection", "--log-level", "trace", "-r", "rc.yaml"])
            .file("rc.yaml", &server.yaml("s3cret-t0ken", ZEN))
            .run()
            .expect_status(1)
            .stderr_has("asking the Resource Controller");
        assert!(!server.requests().is_empty());
        outcome.keeps_secret("s3cret-t0ken");
    }
    let server = Controller::zen(zen_instances(1, 3));
    Pgmig::new()
        .args(["--testRCConnection", "--log-level", "trace", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml(TOKEN, ZEN))
        .run()
        .expect_status(0)
        .stderr_has("asking the Resource Controller")
        .keeps_secret(TOKEN);
}
