"""What the database asks of an entry's bytes before it takes them: that they say what its columns say, in one form.

An offline verifier sees only the bytes, while row-level security judges the columns (`governance.privileges`). It is a
function of PL/pgSQL, because a session keeps its plan: a plain condition would be prepared with every statement anew.
"""

from collections.abc import Iterable, Iterator

from scoring.events import Event

CONDITION = "countersign_said(uuid, event, subject, actor, at, bytes)"
_SIGNATURE = "countersign_said(uuid, text, text, text, timestamptz, bytea)"
# The form is that of `ledger.append`, which any parser of JSON reads alike: one line, no name twice, no deep nesting,
# and in plain letters at its end the writer, whose numbers tell when an entry was left out.
# An answer has one form only, made of columns, three digests and three numbers: it is written anew and compared, which
# is faster than parsing it. It goes by the decision's identifier. A cast refuses what is no number. One that a journal
# kept while the database was gone says also which, at which place and under which hash of its chain.
_FUNCTION = r"""
CREATE OR REPLACE FUNCTION countersign_said(
    uuid uuid, event text, subject text, actor text, at timestamptz, bytes bytea
) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    text text := convert_from(bytes, 'UTF8');
    answer text; inputs text; journal text; package text; writer text; number bigint; more int := 0; said jsonb;
BEGIN
    IF event = '{answered}' THEN
        answer := split_part(text, '"', 18);
        inputs := split_part(text, '"', 24);
        IF split_part(text, '"', 26) = 'journal' THEN
            journal := split_part(text, '"', 28);
            more := 4;
        END IF;
        package := split_part(text, '"', 28 + more);
        writer := split_part(text, '"', 42 + more);
        number := btrim(split_part(text, '"', 43 + more), ',]}');
        RETURN text = concat('{"actor":"user:', substr(actor, 6)::bigint, '","at":"',
                to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '+00:00","event":"', event,
                '","facts":{"answer":"', answer, '","deployment":', btrim(split_part(text, '"', 21), ':,')::bigint,
                ',"inputs":"', inputs, '","journal":"' || journal, '","package":"', package, '"},"id":"', uuid,
                '","subject":"', subject, '","v":1,"writer":["', writer, '",', number, ']}')
            AND actor = 'user:' || substr(actor, 6)::bigint AND subject = 'decision:' || uuid
            AND length(answer) = 64 AND length(inputs) = 64 AND length(package) = 64
            AND octet_length(decode(answer || inputs || package, 'hex')) = 96
            AND length(writer) BETWEEN 1 AND 40 AND translate(writer, '0123456789abcdef', '') = ''
            AND (journal IS NULL OR journal ~ '^[0-9a-f]{32}/[1-9][0-9]{0,17}/[0-9a-f]{64}$')
            AND number BETWEEN 1 AND 999999999999999999;
    END IF;
    said := text::jsonb;
    RETURN said @> jsonb_build_object(
            'v', 1, 'event', event, 'actor', actor, 'subject', subject, 'id', uuid, 'facts', jsonb_build_object())
        AND said ->> 'at' ~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{6})?\+00:00$'
        AND (said ->> 'at')::timestamptz = at
        AND right(text, 74) ~ ',"writer":\["[^"\\]{1,40}",[1-9][0-9]{0,17}\]\}$'
        AND strpos(text, chr(10)) = 0
        AND {unique}
        AND NOT jsonb_path_exists(said, '$.**{16}');
END $$
"""


def statements(version: int, roles: Iterable[str]) -> Iterator[str]:
    """Yield the SQL that makes the function on a server of a version (such as 160004), for the roles that enter."""
    # PostgreSQL 15 cannot ask whether a name comes twice.
    unique = "text IS JSON OBJECT WITH UNIQUE KEYS" if version >= 160000 else "true"
    yield _FUNCTION.replace("{unique}", unique).replace("{answered}", Event.DECISION_ANSWERED)
    yield f"REVOKE ALL ON FUNCTION {_SIGNATURE} FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION {_SIGNATURE} TO {', '.join(roles)}"
