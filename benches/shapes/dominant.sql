-- One table with three quarters of the rows, and four smaller ones. `scale` is megabytes of COPY text, about.
SELECT format($$
    CREATE TABLE public.event_%1$s (
        id bigint PRIMARY KEY, tenant_id uuid NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, amount numeric, note text);
    INSERT INTO public.event_%1$s
        SELECT n, md5('tenant ' || n %% 20)::uuid, '2024-01-01 00:00:00+00'::timestamptz + n * interval '7 seconds',
               (ARRAY['login', 'train', 'deploy'])[1 + n %% 3], n * 1.25, md5(n::text)
        FROM generate_series(1, %2$s) AS n;
    CREATE INDEX ON public.event_%1$s (tenant_id, at);
$$, number, :scale * 1000000 / 16 / 120 * CASE number WHEN 1 THEN 12 ELSE 1 END)
FROM generate_series(1, 5) AS number \gexec
