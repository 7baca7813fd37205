use std::time::Duration;

use paramedic_catalog::{
    ActionSignature, Catalog, Field, FieldType, Param, ParamKind, ProbeSignature, Risk,
};

pub fn catalog() -> Catalog {
    let service = || Param::required("service", ParamKind::Token, "The service's name.");
    let since = ParamKind::Duration { max: Duration::from_secs(3600) };
    let holder = FieldType::Record(vec![
        Field::new("name", FieldType::Text, ""),
        Field::new("pid", FieldType::Int, ""),
    ]);
    let line = vec![
        Field::new("text", FieldType::Text, ""),
        Field::new("pid", FieldType::Int.or_null(), ""),
    ];
    let probe =
        |name, params, facts| ProbeSignature { name, summary: "", params, facts, privilege: "" };
    let action = |name, params, risk| ActionSignature {
        name,
        summary: "",
        params,
        risk,
        privilege: "",
        precondition: "",
        blast_radius: "",
        verification: "",
        undo: "",
    };
    Catalog {
        kind: "firewall",
        title: "Firewall",
        summary: "",
        versions: &[],
        settings: Vec::new(),
        metrics: Vec::new(),
        probes: vec![
            probe(
                "service",
                vec![service()],
                vec![
                    Field::new("running", FieldType::Bool, ""),
                    Field::new("enabled", FieldType::Bool, ""),
                    Field::new("load", FieldType::Float, ""),
                    Field::new("pid", FieldType::Int.or_null(), ""),
                    Field::new("holder", holder.or_null(), ""),
                    Field::new("names", FieldType::texts(), ""),
                ],
            ),
            probe(
                "service-log",
                vec![service(), Param::optional("since", since, "How far back.")],
                vec![Field::new("lines", FieldType::records(line), "")],
            ),
        ],
        actions: vec![
            action("service-restart", vec![service()], Risk::Medium),
            action(
                "kill",
                vec![Param::required("pid", ParamKind::Integer { min: 2, max: 1 << 22 }, "")],
                Risk::High,
            ),
        ],
    }
}
