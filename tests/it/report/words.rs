use hallpass::domain::render::ForgeAddress;

#[test]
fn the_address_of_the_forge_is_read_from_the_remote_and_carries_no_secret() {
    for (remote, expected) in [
        (
            "https://github.com/acme/access",
            Some("https://github.com/acme/access"),
        ),
        (
            "https://github.com/acme/access.git",
            Some("https://github.com/acme/access"),
        ),
        (
            "https://github.com/acme/access/",
            Some("https://github.com/acme/access"),
        ),
        (
            "https://ghe.acme.example:8443/acme/access.git",
            Some("https://ghe.acme.example:8443/acme/access"),
        ),
        (
            "https://octocat:ghp_secret@github.com/acme/access",
            Some("https://github.com/acme/access"),
        ),
        (
            "git@github.com:acme/access.git",
            Some("https://github.com/acme/access"),
        ),
        (
            "ssh://git@github.com/acme/access.git",
            Some("https://github.com/acme/access"),
        ),
        (
            "ssh://git@ghe.acme.example:2222/acme/access.git",
            Some("https://ghe.acme.example/acme/access"),
        ),
        ("http://github.com/acme/access", None),
        ("/srv/git/access.git", None),
        ("../access", None),
        ("file:///srv/git/access.git", None),
        ("https://github.com/acme", None),
        ("https://github.com/acme/access/tree/main", None),
        ("https://github.com/acme/access?x", None),
        ("https://github.com/acme/a\"><script>", None),
        ("https://evil.example\"/acme/access", None),
        ("javascript:alert(1)//@x/acme/access", None),
        ("https://github.com/../access", None),
        ("", None),
    ] {
        let found = ForgeAddress::of_remote(remote);
        assert_eq!(found.as_ref().map(ForgeAddress::page), expected, "{remote}");
    }
}
