-- Many small tables: `scale` of them, each with a key, an index and ten rows.
SELECT format($$
    CREATE TABLE public.small_%1$s (id int PRIMARY KEY, tenant_id uuid NOT NULL, note text);
    INSERT INTO public.small_%1$s SELECT n, md5('tenant ' || n)::uuid, 'note ' || n FROM generate_series(1, 10) AS n;
    CREATE INDEX ON public.small_%1$s (tenant_id);
$$, number) FROM generate_series(1, :scale) AS number \gexec
