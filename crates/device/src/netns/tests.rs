use super::*;

fn settings<'a>(name: &'a str, value: &'a str) -> impl Fn(&str) -> Option<String> + 'a {
    move |asked| (asked == name).then(|| value.to_owned())
}

#[test]
fn each_obstacle_is_told_apart() {
    let none = |_: &str| None;
    assert_eq!(diagnose(libc::ENOSPC, none), Obstacle::Limit);
    assert_eq!(diagnose(libc::EINVAL, none), Obstacle::Unsupported);
    assert_eq!(diagnose(libc::EPERM, none), Obstacle::Sandbox);
    assert_eq!(diagnose(libc::EPERM, settings("kernel/unprivileged_userns_clone", "0")), Obstacle::OnlyRoot);
    assert_eq!(diagnose(libc::EPERM, settings("kernel/unprivileged_userns_clone", "1")), Obstacle::Sandbox);
    let apparmor = settings("kernel/apparmor_restrict_unprivileged_userns", "1");
    assert_eq!(diagnose(libc::EACCES, apparmor), Obstacle::AppArmor);
    assert_eq!(diagnose(libc::EPERM, settings("user/max_user_namespaces", "0")), Obstacle::Limit);
    assert_eq!(diagnose(libc::EIO, none), Obstacle::Other);
}

#[test]
fn each_obstacle_comes_with_one_command_that_helps() {
    use Obstacle::*;
    for obstacle in [Limit, OnlyRoot, AppArmor, Sandbox, Unsupported, Other] {
        let error =
            NetnsError { obstacle, step: "unshare", source: io::Error::from_raw_os_error(libc::EPERM) };
        let text = error.to_string();
        assert!(text.contains('`'), "{text}");
        assert!(text.contains("unshare"), "{text}");
    }
}

#[test]
fn a_process_with_threads_is_refused_before_anything_is_done() {
    // The harness runs this test on a thread of its own.
    let error = enter_private().unwrap_err();
    assert_eq!(error.obstacle(), Obstacle::Threads);
}
