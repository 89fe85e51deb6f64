-- Large objects of 0 to 64 kB. `scale` is megabytes of contents, about.
SELECT count(lo_from_bytea(0, decode(string_agg(md5(number || ' ' || part), '' ORDER BY part), 'hex')))
FROM generate_series(1, :scale * 1000000 / 32000) AS number, generate_series(1, 1 + number * 7919 % 4000) AS part
GROUP BY number;
