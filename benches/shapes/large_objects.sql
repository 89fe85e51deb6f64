-- Large objects of 1 kB to 64 kB. `scale` is megabytes of contents, about.
SELECT count(lo_from_bytea(0, contents))
FROM generate_series(1, :scale * 1000000 / 32000) AS number,
     LATERAL (SELECT decode(string_agg(md5(number || ' ' || part), ''), 'hex') AS contents
              FROM generate_series(1, 64 + number * 61 % 3937) AS part) AS made;
