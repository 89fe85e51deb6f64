-- Two tables with eight indexes each. `scale` is megabytes of COPY text, about.
SELECT format($$
    CREATE TABLE public.wide_%1$s (
        id bigint PRIMARY KEY, tenant_id uuid, at timestamptz, a int, b int, c text, d text, amount numeric);
    INSERT INTO public.wide_%1$s
        SELECT n, md5('tenant ' || n %% 20)::uuid, '2024-01-01 00:00:00+00'::timestamptz + n * interval '7 seconds',
               (n::bigint * 7919 %% 1000003)::int, n %% 1000, md5(n::text), 'd' || n * 31 %% 10007, n * 1.25
        FROM generate_series(1, %2$s) AS n;
    CREATE INDEX ON public.wide_%1$s (tenant_id, at);
    CREATE INDEX ON public.wide_%1$s (at);
    CREATE INDEX ON public.wide_%1$s (a);
    CREATE INDEX ON public.wide_%1$s (b, a);
    CREATE INDEX ON public.wide_%1$s (c);
    CREATE INDEX ON public.wide_%1$s (d, id);
    CREATE UNIQUE INDEX ON public.wide_%1$s (id, c);
$$, number, :scale * 1000000 / 2 / 130) FROM generate_series(1, 2) AS number \gexec
